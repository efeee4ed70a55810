"""Pages with a family's figures on them, served to a real browser on this machine.

``python -m tests.portal.scenes docs/pictures`` makes the README's pictures anew.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.portal.chromium import picture
from tests.portal.worlds import GB, MB, NOW, PHONE, PortalWorld, make_world
from tests.running import free_port
from tripgate.core.endpoint import Endpoint
from tripgate.core.model import Limit, Period, device_target, person_target
from tripgate.core.period import starts
from tripgate.portal.refusal import Refused, respond
from tripgate.web import serve_web

NEW = "10.0.0.9"
SERVICES = {
    "YouTube": 212, "iCloud": 96, "Google Play": 51, "WhatsApp": 38, "unknown": 17,
    "Google Maps": 9,
}  # fmt: skip
DAY = 86_400


class OneVisitor(PortalWorld):
    """A world in which whoever asks is ``visitor``."""

    visitor = PHONE

    def recognise(self, peer: str, local: str) -> str | None:
        return f"ip:{self.visitor}"


async def family(folder: Path) -> OneVisitor:
    """The seventh day of a trip to Mexico."""
    made = make_world(folder)
    world = OneVisitor(made.folder)
    await world.plan(
        volume=10 * GB, valid_s=30 * DAY, starts_at=NOW - 6 * DAY, tz="America/Mexico_City"
    )
    phone = await world.device("annas-phone", person="anna", owner=True)
    laptop = await world.device("bens-laptop", "10.0.0.5", person="ben")
    await world.cap(device_target(phone.id), Period.DAY, 500 * MB)
    await world.cap(person_target("anna"), Period.TRIP, 4 * GB)
    for day in range(6, 0, -1):
        await world.used(phone, "YouTube", 260 * MB, NOW - day * DAY + 3600)
    for service, volume in SERVICES.items():
        await world.used(phone, service, volume * MB)
    await world.used(laptop, "Netflix", 1900 * MB)
    return world


@asynccontextmanager
async def portal(world: OneVisitor) -> AsyncIterator[str]:
    """The portal's URL."""
    port = free_port()
    async with serve_web([(Endpoint(("127.0.0.1",), port), world.app())]):
        yield f"http://127.0.0.1:{port}/"


@asynccontextmanager
async def refusal(world: OneVisitor) -> AsyncIterator[str]:
    """A URL that answers with the bytes of a refusal at the phone's cap."""
    phone = world.book.by_identity[f"ip:{PHONE}"]
    began = starts(world.book.plan, NOW)[Period.DAY]
    limit = Limit(device_target(phone.id), Period.DAY, began, 500 * MB)
    refused = Refused("cap", phone, limit, 500 * MB, world.book)
    page = respond(refused, {"accept": "text/html"}.get, "http://10.77.0.1:8088/")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # a connection kept in reserve
            await reader.readuntil(b"\r\n\r\n")
        writer.write(page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as state:
        world = await family(Path(state))
        async with portal(world) as url:
            long, short = (390, 1340), (390, 760)
            await picture(url, folder / "portal.png", size=long, scale=1.5)
            await picture(url, folder / "portal-dark.png", size=long, dark=True, scale=1.5)
            world.visitor = NEW
            await picture(url, folder / "pending.png", size=short, scale=1.5)
            world.visitor = PHONE
            devices = folder / "devices.png"
            await picture(f"{url}devices", devices, size=short, scale=1.5)
        async with refusal(world) as url:
            await picture(url, folder / "refusal.png", size=short, scale=1.5)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).absolute()))
