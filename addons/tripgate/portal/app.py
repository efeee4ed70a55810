"""The portal: pages that devices open on the gateway itself."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from tripgate.portal.captive import Captive
from tripgate.portal.claim import ClaimDesk
from tripgate.portal.devicepage import DevicePage
from tripgate.portal.guard import Guard
from tripgate.portal.ownerpages import OwnerPages
from tripgate.portal.reading import Readings
from tripgate.portal.world import PortalSettings, World


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
        middleware=[Middleware(Guard, world=world, settings=settings)],
    )
