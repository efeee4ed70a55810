"""``tripgate admin``: who may manage the gateway from the portal."""

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripgate.cli.command import present
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import facts
from tripgate.cli.store import no_gateway
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


def _draw(document: ClaimDocument) -> "RenderableType":
    return facts(
        (("code", document["code"]), ("enter it", "at the portal, on the device of an owner"))
    )
