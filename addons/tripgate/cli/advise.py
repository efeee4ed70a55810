"""``tripgate advise``: what would help, with the exact command; ``apply ID`` runs that command."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripgate import catalogue
from tripgate.background import background
from tripgate.cli.command import now, present, run
from tripgate.cli.documents import plan_document, snapshot
from tripgate.cli.drains import LOOK_BACK_S, seen_since
from tripgate.cli.failure import Refused
from tripgate.cli.options import Json, State, example
from tripgate.cli.output import Column, note, table
from tripgate.cli.store import Store
from tripgate.core.advice import Advice, Situation
from tripgate.core.advice import advise as advice_on
from tripgate.core.classify import Catalogue
from tripgate.core.drain import drains
from tripgate.core.model import NOBODYS
from tripgate.outlook import hours
from tripgate.statefind import find

if TYPE_CHECKING:
    from rich.console import RenderableType

EPILOG = example("tripgate advise", "tripgate advise apply a-k3v7qd")
COLUMNS = (Column("id"), Column("advice"), Column("what does it"))


class AdviceDocument(TypedDict):
    """A row of ``advise``. ``saved``: bytes that it would have saved of the last ``span`` seconds;
    ``longer``: seconds that the plan would last longer, None: unknown, or no matter; ``lasts``: the
    plan would last until it expires."""

    id: str
    kind: str
    text: str
    command: str
    saved: int
    span: int
    longer: int | None
    lasts: bool


def advise(
    context: typer.Context,
    action: Annotated[
        str | None, typer.Argument(metavar="apply", help="Run the command of an advice.")
    ] = None,
    advice_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Which: its id, as advise prints it.")
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """What would have saved data, by the last 7 days; apply ID does it."""
    if action not in (None, "apply") or (action is None) != (advice_id is None):
        raise typer.BadParameter("write `tripgate advise`, or `tripgate advise apply ID`")
    services = catalogue.load(find(state).path)

    async def fetch(store: Store) -> list[Advice]:
        return advice_on(await _situation(store, services, now()))

    made = run(state, fetch)
    if advice_id is None:
        present([_document(one) for one in made], _draw, as_json=as_json)
    else:
        _apply(context, _chosen(made, advice_id), state, as_json=as_json)


async def _situation(store: Store, services: Catalogue, at: int) -> Situation:
    read = await snapshot(store, at)
    begun = at - LOOK_BACK_S
    devices = await seen_since(store, [*read.book.devices], begun)
    found = drains(await background(store.ledger, devices, begun, at, services.shared), at)
    past = await hours(store.ledger, [*devices, *NOBODYS], begun, at)
    first = min((hour for hour, moved in past.items() if moved), default=at)
    left = plan_document(read)["remaining"]
    return Situation(read.book, found, past, first, at, left, read.caps, read.trusted)


def _chosen(made: list[Advice], advice_id: str) -> Advice:
    for one in made:
        if one.id == advice_id:
            return one
    raise Refused(
        f"there is no advice {advice_id[:40]!r} now: it was followed, or things have changed; "
        "`tripgate advise` shows what holds"
    )


def _apply(context: typer.Context, one: Advice, state: Path | None, *, as_json: bool) -> None:
    """Exactly what is printed, by the command line itself: parsed, checked and audited as typed."""
    words = shlex.split(one.command)[1:]
    where = ["--state", str(state)] if state else []
    root = context.find_root().command
    root.main([*words, *where, *(["--json"] if as_json else [])], standalone_mode=False)


def _document(one: Advice) -> AdviceDocument:
    return {
        "id": one.id,
        "kind": one.kind,
        "text": one.text,
        "command": one.command,
        "saved": one.saved,
        "span": one.span,
        "longer": one.longer,
        "lasts": one.lasts,
    }


def _draw(rows: list[AdviceDocument]) -> "RenderableType":
    if not rows:
        return note("nothing is worth changing, by the last 7 days")
    return table(COLUMNS, ((row["id"], row["text"], row["command"]) for row in rows))
