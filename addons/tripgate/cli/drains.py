"""``tripgate drains``: what moved that nobody asked for, and what pauses it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripgate import catalogue
from tripgate.background import background
from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.command import now, present, run
from tripgate.cli.names import target_names
from tripgate.cli.options import Json, State, example
from tripgate.cli.output import Column, note, table, together
from tripgate.cli.reading import devices_of, parse_since, since_of
from tripgate.cli.store import Store
from tripgate.core.book import Book
from tripgate.core.classify import Catalogue, slug
from tripgate.core.drain import LEAST, Drain, drains, pause_command
from tripgate.core.usage import DAY_S, HOUR_S, KEEP_HOURS_S
from tripgate.statefind import find

if TYPE_CHECKING:
    from rich.console import RenderableType

EPILOG = example(
    "tripgate drains",
    "tripgate drains --for annas-phone --since 24h",
    "tripgate drains --since trip --json",
)
LOOK_BACK_S = 7 * DAY_S
COLUMNS = (
    Column("device"),
    Column("service"),
    Column("since"),
    Column("until"),
    Column("bytes", figure=True),
    Column("of plan", figure=True),
    Column("sure"),
    Column("why"),
    Column("what pauses it"),
)


class DrainDocument(TypedDict):
    """A row of ``drains``. ``bytes`` are both directions; ``share`` is of the plan's volume, None
    where it has none; ``since`` and ``until`` are known by the hour."""

    device: str
    id: str
    service: str
    category: str
    since: str | None
    until: str | None
    bytes: int
    share: float | None
    confidence: str
    why: str
    command: str


class DrainsDocument(TypedDict):
    """``drains``: from ``since`` to ``until``, the largest first."""

    since: str | None
    until: str | None
    rows: list[DrainDocument]
    total: int


def drains_(
    target: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="TARGET",
            help="Only this device or person.",
            autocompletion=target_names,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            parser=parse_since,
            metavar="24h|ISO|PERIOD",
            help="From when, 60 days back at most; 7 days if left out.",
        ),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """What moved that nobody asked for: stretches of background use, by device and service."""
    services = catalogue.load(find(state).path)

    async def fetch(store: Store) -> DrainsDocument:
        return await _read(store, services, target, since, now())

    present(run(state, fetch), _draw, as_json=as_json)


async def _read(
    store: Store, services: Catalogue, target: str | None, since: str | None, at: int
) -> DrainsDocument:
    _, book = await store.registry.load()
    asked = since_of(book, target, since, at) if since is not None else at - LOOK_BACK_S
    begun = max(asked or 0, at - KEEP_HOURS_S) // HOUR_S * HOUR_S
    devices = await seen_since(store, devices_of(book, target), begun)
    found = drains(await background(store.ledger, devices, begun, at, services.shared), at)
    rows = [_document(book, services, one) for one in found]
    return {
        "since": instant(begun),
        "until": instant(at),
        "rows": rows,
        "total": sum(row["bytes"] for row in rows),
    }


async def seen_since(store: Store, devices: Sequence[str], since: int) -> list[str]:
    """Those of the devices (ids) that moved something since: no others are read."""
    seen = (await store.ledger.tallies([])).seen
    return [one for one in devices if seen.get(one, 0) >= since]


def _document(book: Book, services: Catalogue, one: Drain) -> DrainDocument:
    device = book.devices[one.device]
    known = services.thing(one.service) == one.service
    size = book.plan.volume if book.plan else None
    return {
        "device": device.name,
        "id": device.id,
        "service": one.service,
        "category": one.category,
        "since": instant(one.since),
        "until": instant(one.until),
        "bytes": one.volume,
        "share": round(one.volume / size, 4) if size else None,
        "confidence": one.confidence,
        "why": one.why,
        "command": pause_command(device.name, slug(one.service) if known else one.category),
    }


def _draw(document: DrainsDocument) -> "RenderableType":
    since, rows = moment(document["since"]), document["rows"]
    if not rows:
        return note(f"no drain of {volume(LEAST)} or more since {since}")
    caption = f"{volume(document['total'])} since {since} that nobody asked for"
    return together(table(COLUMNS, map(_row, rows)), note(caption))


def _row(row: DrainDocument) -> tuple[str, ...]:
    return (
        row["device"],
        row["service"],
        moment(row["since"]),
        moment(row["until"]),
        volume(row["bytes"]),
        "-" if row["share"] is None else f"{row['share']:.1%}",
        row["confidence"],
        row["why"],
        row["command"],
    )
