"""``tripgate notify``: who is told what should be heard of."""

import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypedDict, TypeVar

import typer

from tripgate.cli.cells import instant, moment
from tripgate.cli.command import Change, commit, now, present, run, show
from tripgate.cli.documents import Snapshot
from tripgate.cli.failure import Refused, usage
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, table
from tripgate.cli.store import Store
from tripgate.core.book import Book
from tripgate.core.event import Event
from tripgate.core.messages import (
    Channel,
    ChannelError,
    Messages,
    add_channel,
    find_channel,
    remove_channel,
)
from tripgate.notify.address import LONGEST, Address, parse
from tripgate.statefind import find
from tripgate.statefolder import StateFolder

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")

app = group(
    "notify",
    "Messages: warnings, drains and outages to a webhook, ntfy or Telegram.",
    "tripgate notify add ntfy://annas-van-7qk2",
)
COLUMNS = (Column("id"), Column("kind"), Column("where"), Column("since"), Column("state"))
TESTED = (Column("id"), Column("where"), Column("result"))
MISSING = "its URL is not in this state folder: remove it and add it again"


class ChannelDocument(TypedDict):
    """A row of ``notify list``. ``where`` has no secret in it; ``state``: ``ok`` or what is
    wrong."""

    id: str
    kind: str
    where: str
    created_at: str | None
    state: str


class TriedDocument(TypedDict):
    """A row of ``notify test``. ``result``: ``arrived``, or why not."""

    id: str
    where: str
    arrived: bool
    result: str


@app.command(
    "add",
    epilog=example(
        "tripgate notify add https://home.example.org/hooks/SECRET",
        "tripgate notify add ntfys://ntfy.example.org/annas-van",
    ),
)
def add(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="https://HOST/PATH (gets JSON), ntfys://[TOKEN@]HOST/TOPIC, ntfy://TOPIC (at "
            "ntfy.sh), tgram://TOKEN/CHAT; - reads it from stdin, where no history keeps it.",
        ),
    ],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Send messages there; the first of all is told what holds now. The URL is kept as a secret."""
    text = sys.stdin.readline(LONGEST + 2).strip() if url == "-" else url
    with usage("URL"):
        address = parse(text)
    folder = find(state)

    async def work(store: Store) -> ChannelDocument:
        return await _added(store, folder, text, address)

    present(run(state, work), lambda one: _draw([one]), as_json=as_json)


@app.command("list", epilog=example("tripgate notify list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """Where messages go; secrets are not shown."""
    folder = find(state)

    def fetch(read: Snapshot) -> list[ChannelDocument]:
        return [_document(folder, one) for one in read.book.messages.channels]

    show(state, fetch, _draw, as_json=as_json)


@app.command("test", epilog=example("tripgate notify test"))
def test(state: State = None, as_json: Json = False) -> None:
    """Send a message to every channel now, and say whether it arrived."""
    folder = find(state)

    async def work(store: Store) -> list[TriedDocument]:
        _, book = await store.registry.load()
        if not book.messages.channels:
            raise Refused("there is no channel: tripgate notify add URL")
        return [_tested(folder, one) for one in book.messages.channels]

    rows = run(state, work)
    present(rows, _draw_tested, as_json=as_json)
    if not all(row["arrived"] for row in rows):
        raise typer.Exit(1)


@app.command("remove", epilog=example("tripgate notify remove n1"))
def remove(
    channel_id: Annotated[str, typer.Argument(metavar="ID", help="As in notify list.")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Send nothing there any more, and forget its URL. Prints the channels that stay."""
    folder = find(state)
    gone: list[Channel] = []

    def apply(book: Book) -> tuple[Book, str]:
        one = _edited(lambda: find_channel(book.messages, channel_id))
        gone[:] = [one]
        changed = _edited(lambda: remove_channel(book.messages, channel_id))
        return _with(book, changed), f"{one.id} {one.where}"

    async def work(store: Store) -> list[ChannelDocument]:
        await commit(store.registry, Change("notify remove", apply, again=False), now())
        for one in gone:
            folder.remove_notify_url(one.key)
        _, book = await store.registry.load()
        return [_document(folder, one) for one in book.messages.channels]

    present(run(state, work), _draw, as_json=as_json)


async def _added(store: Store, folder: StateFolder, url: str, address: Address) -> ChannelDocument:
    """The secret is kept first: a channel of the book has its URL. No channel, no secret."""
    key, at = secrets.token_hex(8), now()

    def apply(book: Book) -> tuple[Book, str]:
        _refuse_twice(folder, book, url)
        made = Channel("", key, address.kind, address.where, at)
        changed = _edited(lambda: add_channel(book.messages, made))
        return _with(book, changed), f"{changed.channels[-1].id} {address.where}"

    folder.write_notify_url(key, url)
    try:
        await commit(store.registry, Change("notify add", apply), at)
    except BaseException:
        folder.remove_notify_url(key)
        raise
    _, book = await store.registry.load()
    return _document(folder, next(one for one in book.messages.channels if one.key == key))


def _with(book: Book, changed: Messages) -> Book:
    return replace(book, messages=changed)


def _edited(change: Callable[[], T]) -> T:
    """What cannot be done is refused in one line."""
    try:
        return change()
    except ChannelError as error:
        raise Refused(str(error)) from None


def _refuse_twice(folder: StateFolder, book: Book, url: str) -> None:
    for one in book.messages.channels:
        if folder.read_notify_url(one.key) == url:
            raise Refused(f"messages go there already: it is {one.id}")


def _tested(folder: StateFolder, channel: Channel) -> TriedDocument:
    from tripgate.notify.send import SendError, post

    url, result = folder.read_notify_url(channel.key), MISSING
    if url is not None:
        try:
            post(parse(url), (Event("", "test", "a test: messages arrive here"),), now())
            result = "arrived"
        except (SendError, ValueError) as error:
            result = str(error)
    arrived = result == "arrived"
    return {"id": channel.id, "where": channel.where, "arrived": arrived, "result": result}


def _document(folder: StateFolder, channel: Channel) -> ChannelDocument:
    there = folder.read_notify_url(channel.key) is not None
    return {
        "id": channel.id,
        "kind": channel.kind,
        "where": channel.where,
        "created_at": instant(channel.created_at),
        "state": "ok" if there else MISSING,
    }


def _draw(rows: list[ChannelDocument]) -> "RenderableType":
    if not rows:
        return note("nobody is told anything: tripgate notify add URL")
    cells = (
        (row["id"], row["kind"], row["where"], moment(row["created_at"]), row["state"])
        for row in rows
    )
    return table(COLUMNS, cells)


def _draw_tested(rows: list[TriedDocument]) -> "RenderableType":
    return table(TESTED, ((row["id"], row["where"], row["result"]) for row in rows))
