"""``tripgate usage``: who used what, since when.

Figures are bytes on the upstream sockets, HTTP heads and TLS records included; what the network
adds in headers of its own is reported beside them.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tripgate.cli import failure
from tripgate.cli.cells import bar, in_zone, moment, volume
from tripgate.cli.command import now, run, tell, zone
from tripgate.cli.names import target_names
from tripgate.cli.options import Json, State, Watch, example
from tripgate.cli.output import Column, note, table, together
from tripgate.cli.reading import DIMENSIONS, Question, UsageDocument, answer, parse_by, parse_since
from tripgate.cli.store import SOCKETS, WIRE, Store
from tripgate.cli.watch import refresh, refuse_json_watch

if TYPE_CHECKING:
    from rich.console import RenderableType

EPILOG = example(
    "tripgate usage --by device",
    "tripgate usage --by service --for phone --since 24h",
    "tripgate usage --by host --since day --json",
)


def usage(
    by: Annotated[
        str,
        typer.Option("--by", metavar="LIST", help=f"One or more of {', '.join(DIMENSIONS)}."),
    ] = "device",
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
            help="From when; else from the plan's start, else all.",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", metavar="", help="Also what is no device's: (gateway), …"),
    ] = False,
    watch: Watch = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Who used what: bytes up and down, counted at most a second ago."""
    refuse_json_watch(as_json=as_json, watch=watch)
    with failure.usage("--by"):
        question = Question(parse_by(by), target, since, everything)

    async def fetch(store: Store) -> UsageDocument:
        return await answer(store, question, now())

    async def live(store: Store) -> None:
        async def frame() -> "RenderableType":
            return _draw(await fetch(store))

        with in_zone(await zone(store)):
            await refresh(frame)

    if watch:
        run(state, live)
    else:
        tell(state, fetch, _draw, as_json=as_json)


def _draw(document: UsageDocument) -> "RenderableType":
    by, total = document["by"], document["total"]
    columns = [
        *(Column(name) for name in by),
        *(Column(name, figure=True) for name in ("up", "down", "total")),
        Column("share"),
    ]
    rows = (
        [
            *(row[name] or "-" for name in by),
            *(volume(row[name]) for name in ("up", "down", "total")),
            bar(row["total"], total) if total else "",
        ]
        for row in document["rows"]
    )
    return together(table(columns, rows), *map(note, _captions(document)))


def _captions(document: UsageDocument) -> Iterator[str]:
    """What the figures are, from when on, and what is not among them."""
    overhead, kind = document["overhead"], KIND_TEXT[document["kind"]]
    beside = f"; headers beside that {volume(overhead)}" if overhead else ""
    yield f"{volume(document['total'])} since {moment(document['since'])}, {kind}{beside}"
    if "host" in document["by"]:
        yield "hosts are kept by day: they count from the beginning of the first one"
    if document["left_out"]:
        yield f"{volume(document['left_out'])} more with --all"


KIND_TEXT = {
    SOCKETS: "bytes on the upstream connections",
    WIRE: "bytes on the uplink, all headers included",
}
