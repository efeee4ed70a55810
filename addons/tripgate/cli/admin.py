"""``tripgate admin``: who may manage the gateway from the portal."""

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripgate.cli.command import Change, edit, present
from tripgate.cli.documents import DeviceDocument, device_named
from tripgate.cli.names import device_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import facts
from tripgate.cli.store import no_gateway
from tripgate.core.book import claim_device, disown_devices
from tripgate.portal.claim import ensure
from tripgate.statefind import find

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group(
    "admin", "Owners: the devices that may manage others at the portal.", "tripgate admin claim"
)


class ClaimDocument(TypedDict):
    """``admin claim``. ``tries``: how many wrong answers the code still takes."""

    code: str
    tries: int


@app.command("claim", epilog=example("tripgate admin claim", "tripgate admin claim --renew"))
def claim(
    renew: Annotated[
        bool, typer.Option("--renew", metavar="", help="A new code; the old one is void.")
    ] = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """The one-time code: the device that enters it at the portal becomes an owner's."""
    folder = find(state)
    if folder.read_redis_url() is None:
        raise no_gateway(folder)
    code = ensure(folder, renew=renew)
    present(ClaimDocument(code=code.code, tries=code.left), _draw, as_json=as_json)


@app.command("enroll", epilog=example("tripgate admin enroll", "tripgate admin enroll phone"))
def enroll(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A device.", autocompletion=device_names),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Make one more device an owner's: NAME at once, else the one that enters the code."""
    if name is None:
        claim(renew=False, state=state, as_json=as_json)
        return
    change = Change("admin enroll", lambda book: (claim_device(book, name), name))
    edit(state, change, lambda read: device_named(read, name), _draw_enrolled, as_json=as_json)


@app.command("reset", epilog=example("tripgate admin reset"))
def reset(state: State = None, as_json: Json = False) -> None:
    """No device is an owner's any more, and a new code makes the next one.

    The devices stay let in. For an owner's phone that was lost or sold.
    """
    change = Change("admin reset", lambda book: (disown_devices(book), "no owner"))
    edit(state, change, lambda _: _renewed(state), _draw, as_json=as_json)


def _renewed(state: State) -> ClaimDocument:
    """Only when no owner is left: a code that is void before is one with which nobody gets in."""
    code = ensure(find(state), renew=True)
    return ClaimDocument(code=code.code, tries=code.left)


def _draw_enrolled(document: DeviceDocument) -> "RenderableType":
    return facts((("device", document["name"]), ("may", "manage all devices at the portal")))


def _draw(document: ClaimDocument) -> "RenderableType":
    return facts(
        (("code", document["code"]), ("enter it", "at the portal, on the device of an owner"))
    )
