"""The commands ``tripgate reconcile add``, ``report`` and ``export``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tripgate.cli import failure
from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.command import Change, commit, now, present, run
from tripgate.cli.documents import Snapshot, snapshot
from tripgate.cli.failure import Refused
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, print_json, say, table, together
from tripgate.cli.reconcile import count
from tripgate.cli.reconcile.documents import (
    NONE_YET,
    ReadingDocument,
    ReportDocument,
    basis,
    causes,
    report_document,
    share,
    signed,
)
from tripgate.cli.reconcile.proof import export as write
from tripgate.cli.store import Store
from tripgate.cli.when import parse_instant
from tripgate.core.book import Book
from tripgate.core.model import PLAN, Period
from tripgate.core.statement import Statement, parse_said, with_statement

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group(
    "reconcile",
    "The carrier's own figure beside the count here, and a file that proves the bill.",
    "tripgate reconcile add 1.25GB",
)
COLUMNS = (
    Column("at"),
    Column("carrier", figure=True),
    Column("counted", figure=True),
    Column("difference", figure=True),
    Column("", figure=True),
    Column("since the last", figure=True),
    Column("known causes"),
    Column("verdict"),
)
NO_PLAN = "there is no plan to compare with: set it first, tripgate plan set --volume 10GB"


@app.command(
    "add",
    epilog=example(
        "tripgate reconcile add 1.25GB",
        "tripgate reconcile add 980MiB --at 2026-05-01T14:30",
    ),
)
def add(
    said: Annotated[
        str,
        typer.Argument(metavar="VOLUME", help="As the carrier shows it, with all its digits."),
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="ISO", help="When it was so; now if left out."),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Note what the carrier says was used since the plan's start. The same time replaces."""
    with failure.usage("VOLUME"):
        parse_said(said)
    if at is not None:
        with failure.usage("--at"):
            parse_instant(at, "UTC")

    async def work(store: Store) -> ReportDocument:
        read = await snapshot(store, now())
        made = await _statement(store, read, said, at)

        def apply(book: Book) -> tuple[Book, str]:
            if book.plan is None or book.plan.counted_from != made.trip:
                raise Refused("the plan was changed at the same moment: run it again")
            kept = with_statement(book.statements, made)
            counted = f"{made.counted} B counted here"
            return replace(book, statements=kept), f"{said} at {instant(made.at)}, {counted}"

        await commit(store.registry, Change("reconcile add", apply), read.now)
        return report_document(store, await snapshot(store, read.now))

    present(run(state, work), _draw, as_json=as_json)


async def _statement(store: Store, read: Snapshot, said: str, at: str | None) -> Statement:
    plan = read.book.plan
    if plan is None:
        raise Refused(NO_PLAN)
    with failure.usage("--at"):
        when = parse_instant(at, plan.tz) if at is not None else read.now
    if when > read.now:
        raise typer.BadParameter("lies in the future", param_hint="--at")
    if when < plan.counted_from:
        begun = moment(instant(plan.counted_from))
        raise Refused(f"the plan began later, {begun}: name a time since then")
    counted, apart = await count.counted(store, read, when)
    used = read.used(PLAN, Period.TRIP)
    headers = await count.headers(store, read) * counted // used if used else 0
    trip = plan.counted_from
    return Statement(when, said, counted, apart, headers, trip, read.now, read.trusted)


@app.command("report", epilog=example("tripgate reconcile report"))
def report(state: State = None, as_json: Json = False) -> None:
    """Each of the carrier's readings beside the count here, and what the difference means."""

    async def work(store: Store) -> ReportDocument:
        return report_document(store, await snapshot(store, now()))

    present(run(state, work), _draw, as_json=as_json)


@app.command("export", epilog=example("tripgate reconcile export bill.zip"))
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The file to write.")],
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Replace FILE.zip if it is there.")
    ] = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Write report, usage by hour, readings and plan into one file for the seller."""

    async def work(store: Store) -> dict[str, Any]:
        return await write(store, await snapshot(store, now()), file, replace=force)

    made = run(state, work)
    if as_json:
        print_json(made)
    else:
        say(f"{file}: {volume(made['bytes'])}, readings of the carrier's: {made['readings']}")


def _draw(document: ReportDocument) -> "RenderableType":
    if not document["readings"]:
        return note(NONE_YET)
    unit = document["unit"]
    rows = [_row(one, unit) for one in document["readings"]]
    verdict = f"{document['words'][:1].upper()}{document['words'][1:]}."
    return together(table(COLUMNS, rows), *map(note, (verdict, *basis(document))))


def _row(one: ReadingDocument, unit: str) -> tuple[str, ...]:
    interval = one["interval"]
    between = signed(interval["difference"], unit) if interval else "-"
    return (
        moment(one["at"]),
        one["text"],
        volume(one["counted"], unit),
        signed(one["difference"], unit),
        share(one),
        between,
        causes(one, unit),
        one["verdict"],
    )
