"""``tripgate audit``: who changed what, newest first."""

from typing import TYPE_CHECKING, Annotated

import typer

from tripgate.cli.cells import moment
from tripgate.cli.command import tell
from tripgate.cli.documents import AuditDocument, audit_document
from tripgate.cli.options import Json, State, example
from tripgate.cli.output import Column, note, table
from tripgate.cli.store import Store

if TYPE_CHECKING:
    from rich.console import RenderableType

EPILOG = example("tripgate audit --count 20")
COLUMNS = (Column("when"), Column("who"), Column("what"), Column("detail"))
COUNT_MOST = 10_000


def audit(
    count: Annotated[
        int,
        typer.Option("--count", metavar="N", min=1, max=COUNT_MOST, help="At most so many."),
    ] = 100,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Changes of settings, newest first."""

    async def fetch(store: Store) -> list[AuditDocument]:
        return [audit_document(entry) for entry in await store.registry.audit(count)]

    tell(state, fetch, _draw, as_json=as_json)


def _draw(entries: list[AuditDocument]) -> "RenderableType":
    if not entries:
        return note("no changes yet")
    return table(
        COLUMNS,
        ((moment(e["at"]), e["actor"], e["action"], e["detail"]) for e in entries),
    )
