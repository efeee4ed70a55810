"""``tripgate give``, ``lend``, ``request``: more for somebody; what was used stays as it is."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import typer

from tripgate.cli.cap import caps_table
from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.command import Change, commit, edit, now, show, tell
from tripgate.cli.documents import CapDocument, Snapshot, cap_documents, snapshot
from tripgate.cli.failure import usage
from tripgate.cli.names import target_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, table
from tripgate.cli.store import Store
from tripgate.core import allowance
from tripgate.core.book import Book, parse_target, target_label
from tripgate.core.model import Request
from tripgate.core.model import Target as Aim
from tripgate.core.units import parse_volume, round_up

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group("request", "Requests for more data, and their answers.", "tripgate request list")
GIVE = example("tripgate give maria 500MB")
LEND = example("tripgate lend phone tablet 200MB")
Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="Who gets it.", autocompletion=target_names)
]
Volume = Annotated[str, typer.Argument(metavar="VOLUME", help="500MB, 1.5GB, 500MiB.")]
COLUMNS = (
    Column("id"),
    Column("for"),
    Column("volume", figure=True),
    Column("asked"),
    Column("answer"),
    Column("why"),
)


class RequestDocument(TypedDict):
    """A row of ``request list``. ``answer`` is None while it is open."""

    id: str
    target: str
    volume: int
    asked_at: str | None
    text: str
    answer: str | None


def give(target: Target, amount: Volume, state: State = None, as_json: Json = False) -> None:
    """Raise the caps of a target in their present periods. Prints the caps."""
    with usage("VOLUME"):
        size = parse_volume(amount)
    at = now()

    def apply(book: Book) -> tuple[Book, str]:
        aim = parse_target(book, target)
        return allowance.give(book, aim, size, at), f"{target_label(book, aim)} {amount}"

    edit(
        state,
        Change("give", apply, again=True),
        lambda read: cap_documents(read, parse_target(read.book, target)),
        _draw_caps,
        as_json=as_json,
    )


def lend(
    giver: Annotated[str, typer.Argument(metavar="FROM", autocompletion=target_names)],
    taker: Annotated[str, typer.Argument(metavar="TO", autocompletion=target_names)],
    amount: Volume,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Move allowance from one target to another, in the present periods. Prints both's caps."""
    with usage("VOLUME"):
        size = parse_volume(amount)
    at = now()

    async def work(store: Store) -> list[CapDocument]:
        before = await snapshot(store, at)

        def apply(book: Book) -> tuple[Book, str]:
            source, drain = parse_target(book, giver), parse_target(book, taker)
            changed = allowance.lend(book, source, drain, size, at, _left(before, source))
            return changed, f"{target_label(book, source)} {target_label(book, drain)} {amount}"

        await commit(store.registry, Change("lend", apply, again=False), at)
        read = await snapshot(store, now())
        targets = [parse_target(read.book, name) for name in (giver, taker)]
        return [cap for target in targets for cap in cap_documents(read, target)]

    tell(state, work, _draw_caps, as_json=as_json)


@app.command("list", epilog=example("tripgate request list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """Who asked for more, and what was answered."""
    show(state, _documents, _draw, as_json=as_json)


@app.command("answer", epilog=example("tripgate request answer r1 yes"))
def answer(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="As in request list.")],
    reply: Annotated[Literal["yes", "no"], typer.Argument(metavar="yes|no")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Answer a request; yes gives what was asked."""
    at = now()

    def apply(book: Book) -> tuple[Book, str]:
        return allowance.answer(book, request_id, reply == "yes", at), f"{request_id} {reply}"

    edit(state, Change("request answer", apply, again=False), _documents, _draw, as_json=as_json)


def _left(read: Snapshot, target: Aim) -> int:
    """What the tightest cap of a target leaves; without a cap there is nothing to compare."""
    return min((s.remaining for s in read.caps if s.cap.target == target), default=sys.maxsize)


def request_document(book: Book, request: Request) -> RequestDocument:
    return {
        "id": request.id,
        "target": target_label(book, request.target),
        "volume": request.volume,
        "asked_at": instant(request.at),
        "text": request.text,
        "answer": request.answer or None,
    }


def _documents(read: Snapshot) -> list[RequestDocument]:
    return [request_document(read.book, one) for one in read.book.requests]


def _draw_caps(caps: list[CapDocument]) -> "RenderableType":
    from rich.console import Group

    if not caps:
        return note("done")
    return Group(caps_table(caps), *map(note, _short(caps)))


def _short(caps: list[CapDocument]) -> list[str]:
    """What a gift was too small for: more was used than the raised limit allows."""
    return [
        f"{volume(round_up(cap['needed']))} more are needed before {_name(cap)} may go on "
        f"({cap['period']} cap)"
        for cap in caps
        if cap["needed"]
    ]


def _name(cap: CapDocument) -> str:
    return cap["target"].partition(":")[2] or "anybody"


def _draw(requests: list[RequestDocument]) -> "RenderableType":
    if not requests:
        return note("nobody asks for more")
    return table(COLUMNS, map(_row, requests))


def _row(request: RequestDocument) -> tuple[str, ...]:
    return (
        request["id"],
        request["target"],
        volume(request["volume"]),
        moment(request["asked_at"]),
        request["answer"] or "open",
        request["text"] or "-",
    )
