"""``tripgate device``: the clients of the gateway, who they belong to, what they may do."""

import secrets
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripgate.cli.cells import caps, moment, volume
from tripgate.cli.command import Change, edit, now, show
from tripgate.cli.documents import DeviceDocument, Snapshot, clients, device_documents, device_named
from tripgate.cli.names import device_names, person_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, table, together
from tripgate.core import proxyuser
from tripgate.core.book import (
    approve_device,
    block_device,
    find_device,
    forget_device,
    merge_devices,
    proxy_user,
    rename_device,
    set_proxy_user,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group(
    "device",
    "Devices: who they belong to and what they may do.",
    "tripgate device approve phone --person maria",
)
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A device's name or id.", autocompletion=device_names),
]
NewName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A device, or a new one's name.", autocompletion=device_names
    ),
]
COLUMNS = (
    Column("device"),
    Column("state"),
    Column("person"),
    Column("owner"),
    Column("address"),
    Column("last seen"),
    Column("today", figure=True),
    Column("caps"),
)


@app.command("list", epilog=example("tripgate device list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """All devices, with today's use and their caps."""
    show(state, device_documents if as_json else clients, _draw, as_json=as_json)


@app.command("show", epilog=example("tripgate device show phone"))
def show_(name: Name, state: State = None, as_json: Json = False) -> None:
    """One device."""
    show(state, lambda read: device_named(read, name), _draw_one, as_json=as_json)


@app.command("name", epilog=example("tripgate device name dev-4k7q phone"))
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="a-z, 0-9, hyphens; 1 to 32.")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Give a device a name."""
    change = Change(
        "device name", lambda book: (rename_device(book, name, new), f"{name} to {new}")
    )
    edit(state, change, lambda read: device_named(read, new), _draw_one, as_json=as_json)


@app.command("approve", epilog=example("tripgate device approve phone --person maria"))
def approve(
    name: Name,
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="P", help="Whose it is.", autocompletion=person_names),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Let a device use the plan; with --person, also say whose it is."""
    detail = f"{name} for {person}" if person else name
    change = Change("device approve", lambda book: (approve_device(book, name, person), detail))
    edit(state, change, lambda read: device_named(read, name), _draw_one, as_json=as_json)


@app.command("block", epilog=example("tripgate device block phone"))
def block(name: Name, state: State = None, as_json: Json = False) -> None:
    """Stop a device at once; approve lets it back in."""
    change = Change("device block", lambda book: (block_device(book, name), name))
    edit(state, change, lambda read: device_named(read, name), _draw_one, as_json=as_json)


@app.command("forget", epilog=example("tripgate device forget old-tablet"))
def forget(name: Name, state: State = None, as_json: Json = False) -> None:
    """Remove a device and its caps; what it used stays counted."""
    change = Change("device forget", lambda book: (forget_device(book, name), name), again=False)
    gone = {"forgotten": name}
    edit(state, change, lambda _: gone, lambda _: note(f"{name} is forgotten"), as_json=as_json)


@app.command("merge", epilog=example("tripgate device merge phone dev-4k7q"))
def merge(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Stays.", autocompletion=device_names)],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="Goes into OLD.", autocompletion=device_names)
    ],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Say that NEW is OLD with a new address: OLD keeps its name, caps and counts."""
    change = Change(
        "device merge",
        lambda book: (merge_devices(book, old, new), f"{new} into {old}"),
        again=False,
    )
    edit(state, change, lambda read: device_named(read, old), _draw_one, as_json=as_json)


@app.command("proxy-user", epilog=example("tripgate device proxy-user laptop"))
def proxy_user_(name: NewName, state: State = None, as_json: Json = False) -> None:
    """Make a user and a secret for a device, in place of those before; the secret is shown once.

    With them it is the same device from any address of the LAN.
    """
    secret = secrets.token_urlsafe(proxyuser.SECRET_BYTES)
    entropy, at, hashed = secrets.token_hex(16), now(), proxyuser.digest(secret)
    change = Change(
        "device proxy-user",
        lambda book: (set_proxy_user(book, name, hashed, at, entropy=entropy), name),
    )

    def fetch(read: Snapshot) -> ProxyUserDocument:
        device = find_device(read.book, name)
        user = proxy_user(device) or device.name
        return {"device": device.name, "id": device.id, "user": user, "secret": secret}

    edit(state, change, fetch, _draw_user, as_json=as_json)


class ProxyUserDocument(TypedDict):
    """``device proxy-user``."""

    device: str
    id: str
    user: str
    secret: str


def _draw_user(made: ProxyUserDocument) -> "RenderableType":
    return together(
        note(f"{made['device']}: user {made['user']}, secret {made['secret']}"),
        note("Enter them as the proxy's user name and password; the secret is not shown again."),
    )


def _draw_one(device: DeviceDocument) -> "RenderableType":
    return _draw([device])


def _draw(devices: list[DeviceDocument]) -> "RenderableType":
    if not devices:
        return note("no devices yet: use the gateway as a proxy and the device shows up here")
    return table(COLUMNS, map(_row, devices))


def _row(device: DeviceDocument) -> tuple[str, ...]:
    return (
        device["name"],
        device["state"],
        device["person"] or "-",
        "owner" if device["owner"] else "-",
        device["ip"] or "-",
        moment(device["last_seen"]),
        volume(device["used_today"]),
        caps(device["caps"]),
    )
