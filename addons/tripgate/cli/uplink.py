"""``tripgate uplink``: what the uplinks are and cost, and the login at a portal of theirs."""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.command import Change, commit, now, tell
from tripgate.cli.control import ask
from tripgate.cli.failure import Refused
from tripgate.cli.names import device_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, facts, table
from tripgate.cli.store import Store
from tripgate.core import uplinks
from tripgate.core.book import Book, find_device
from tripgate.statefind import find

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group("uplink", "Where the data comes from: metered or not, and the portal of a hotel.")
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="N", help="Interface; left out, the one in use."),
]
COLUMNS = (
    Column("uplink"),
    Column("state"),
    Column("costs"),
    Column("up", figure=True),
    Column("down", figure=True),
)


class UplinkDocument(TypedDict):
    """A row of ``uplink show``. ``up``, ``down``: L3 bytes since the gateway started, None where
    nobody counts them. ``link``: ``down`` without carrier or default route; None where no gateway
    looks at it."""

    name: str
    active: bool
    metered: bool
    link: str | None
    up: int | None
    down: int | None


class LoginDocument(TypedDict):
    """``uplink login``."""

    device: str
    until: str | None


@app.command("show", epilog=example("tripgate uplink show"))
def show(state: State = None, as_json: Json = False) -> None:
    """The uplinks, what they cost and what they carried since the start."""
    live = _live(state)

    async def work(store: Store) -> list[UplinkDocument]:
        return _documents((await store.registry.load())[1], live)

    tell(state, work, _draw, as_json=as_json)


@app.command(
    "metered", epilog=example("tripgate uplink metered", "tripgate uplink metered --name usb0")
)
def metered(name: Name = None, state: State = None, as_json: Json = False) -> None:
    """Its bytes cost: caps, pauses and the plan hold."""
    _set(name, False, state, as_json=as_json)


@app.command("unmetered", epilog=example("tripgate uplink unmetered --name wlan1"))
def unmetered(name: Name = None, state: State = None, as_json: Json = False) -> None:
    """Its bytes cost nothing: caps and pauses rest while no other is in use. Counting goes on, and
    so do policies with hours (--daily)."""
    _set(name, True, state, as_json=as_json)


@app.command(
    "login", epilog=example("tripgate uplink login", "tripgate uplink login --device phone")
)
def login(
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME",
            help="An owner's device; left out, the only one.",
            autocompletion=device_names,
        ),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """For 10 minutes one owner's device reaches private addresses: the portal of the uplink."""
    at = now()

    def apply(book: Book) -> tuple[Book, str]:
        changed = uplinks.log_in(book, device, at)
        assert changed.login is not None
        return changed, find_device(changed, changed.login.device).name

    async def work(store: Store) -> LoginDocument:
        await commit(store.registry, Change("uplink login", apply), at)
        book = (await store.registry.load())[1]
        assert book.login is not None
        name = find_device(book, book.login.device).name
        return {"device": name, "until": instant(book.login.until)}

    tell(state, work, _draw_login, as_json=as_json)


def _set(name: str | None, free: bool, state: Any, *, as_json: bool) -> None:
    live = _live(state)
    chosen = name or _only(live)

    def apply(book: Book) -> tuple[Book, str]:
        return uplinks.set_unmetered(book, chosen, free), chosen

    async def work(store: Store) -> list[UplinkDocument]:
        action = f"uplink {'unmetered' if free else 'metered'}"
        await commit(store.registry, Change(action, apply), now())
        return _documents((await store.registry.load())[1], live)

    tell(state, work, _draw, as_json=as_json)


def _live(state: Any) -> dict[str, Any]:
    """What the running gateway says of its uplinks; nothing, if none runs."""
    told = (ask(find(state).control_socket) or {}).get("uplinks")
    return told if isinstance(told, dict) else {}


def _only(live: dict[str, Any]) -> str:
    used = [name for name, one in live.items() if one.get("active")]
    if len(used) > 1:
        raise Refused(f"several uplinks are in use: name one with --name: {', '.join(used)}")
    return used[0] if used else uplinks.DEFAULT


def _documents(book: Book, live: dict[str, Any]) -> list[UplinkDocument]:
    names = dict.fromkeys((*live, *book.unmetered)) or {uplinks.DEFAULT: None}
    return [
        {
            "name": name,
            "active": bool(live.get(name, {}).get("active", not live)),
            "metered": name not in book.unmetered,
            "link": live.get(name, {}).get("link"),
            "up": live.get(name, {}).get("up"),
            "down": live.get(name, {}).get("down"),
        }
        for name in names
    ]


def _draw(rows: list[UplinkDocument]) -> "RenderableType":
    return table(COLUMNS, map(_row, rows))


def _row(row: UplinkDocument) -> tuple[str, ...]:
    figures = [volume(one) if one is not None else "-" for one in (row["up"], row["down"])]
    return (
        row["name"],
        "down" if row["link"] == "down" else "in use" if row["active"] else "away",
        "metered" if row["metered"] else "nothing",
        *figures,
    )


def _draw_login(document: LoginDocument) -> "RenderableType":
    return facts((("device", document["device"]), ("until", moment(document["until"]))))
