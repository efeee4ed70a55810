"""The portal: pages that devices open on the gateway itself."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tripgate.portal.captive import Captive
from tripgate.portal.claim import ClaimDesk
from tripgate.portal.devicepage import DevicePage
from tripgate.portal.guard import Guard, visitor
from tripgate.portal.message import failed
from tripgate.portal.ownerpages import OwnerPages
from tripgate.portal.reading import Readings
from tripgate.portal.world import PortalSettings, World


async def missing(request: Request, error: Exception) -> Response:
    """A page for an address that has none, or none to look at."""
    assert isinstance(error, HTTPException)
    answer = failed(visitor(request).words, "no_page", error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def create_app(world: World, settings: PortalSettings, claims: ClaimDesk) -> Starlette:
    """The ASGI app for the portal's addresses."""
    readings = Readings(world)
    page, owner = DevicePage(world, settings, readings, claims), OwnerPages(world)
    captive = Captive(world, settings, readings)
    return Starlette(
        routes=[
            Route("/", page.show),
            Route("/claim", page.claim, methods=["POST"]),
            Route("/ask", page.ask, methods=["POST"]),
            Route("/devices", owner.show),
            Route("/devices/{device}/{action}", owner.change, methods=["POST"]),
            Route("/captive-api", captive.show),
        ],
        exception_handlers={404: missing, 405: missing},
        middleware=[Middleware(Guard, world=world, settings=settings)],
    )
