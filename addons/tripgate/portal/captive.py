"""``/captive-api``: what a phone asks a network about itself (RFC 8908).

Rules
1. ``captive`` is true while nothing would pass: not let in, or a ``block`` cap is used up.
2. ``bytes-remaining`` is what the tightest limit leaves; without one it is absent.
3. With the ledger down the answer says what is known without it: captive.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tripgate.core.book import device_by_identity
from tripgate.core.model import DeviceState
from tripgate.portal.guard import visitor
from tripgate.portal.reading import Readings
from tripgate.portal.world import PortalSettings, World


class CaptiveJson(JSONResponse):
    media_type = "application/captive+json"


class Captive:
    """The Captive Portal API."""

    def __init__(self, world: World, settings: PortalSettings, readings: Readings) -> None:
        self._world, self._settings, self._readings = world, settings, readings

    async def show(self, request: Request) -> Response:
        device = device_by_identity(self._world.book, visitor(request).identity)
        document: dict[str, Any] = {
            "captive": True,
            "user-portal-url": self._settings.url or str(request.base_url),
            "can-extend-session": True,
        }
        if device and device.state is DeviceState.APPROVED:
            reading = await self._readings.of(device)
            if reading is not None:
                document["captive"] = any(one.stops and not one.left for one in reading.gauges)
                if tightest := reading.tightest:
                    document["bytes-remaining"] = tightest.left
        return CaptiveJson(document)
