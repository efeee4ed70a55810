"""``GET /``, ``POST /claim``, ``POST /ask``: what a device is told about itself, how the first
owner is made, how a device asks for more.

Rules
1. A device that nobody knows is entered as pending, so that its page can name it.
2. The page is there without the ledger too: it then says that the counts cannot be read.
3. The claim form is shown while no device is an owner's, and to a device that waits.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tripgate.core.book import Book, BookError, claim_device, device_by_identity, has_owner
from tripgate.core.model import Device, DeviceState
from tripgate.ledger.protocol import LedgerDown
from tripgate.portal import asking, look, view
from tripgate.portal.change import Change, Lost, commit
from tripgate.portal.claim import WAIT_S, ClaimDesk, ClaimError
from tripgate.portal.guard import FormError, Visitor, form, visitor
from tripgate.portal.message import failed
from tripgate.portal.reading import Readings
from tripgate.portal.words import unit_of, zone_of
from tripgate.portal.world import PortalSettings, World
from tripgate.statefolder import StateError

REFRESH_S = 15
PENDING_REFRESH_S = 5


class DevicePage:
    """The page of whichever device asks."""

    def __init__(
        self, world: World, settings: PortalSettings, readings: Readings, claims: ClaimDesk
    ) -> None:
        self._world, self._settings = world, settings
        self._readings, self._claims = readings, claims

    async def show(self, request: Request) -> Response:
        known = visitor(request)
        device = await self._device(known)
        if device is None or device.state is not DeviceState.APPROVED:
            return self._outside(known, device)
        return await self._inside(known, device)

    async def claim(self, request: Request) -> Response:
        known = visitor(request)
        try:
            fields = await form(request)
        except FormError as error:
            return failed(known.words, "not_yours", error.status)
        device = await self._device(known)
        if device is None or device.state is DeviceState.BLOCKED:
            return self._outside(known, device, 403)
        try:
            async with self._claims.redeem(device.id, fields.get("code", "")):
                await commit(self._world, device, _claim(device))
        except ClaimError as error:
            text = known.words(f"claim_{error.reason}", minutes=int(WAIT_S // 60))
            status = 429 if error.reason == "wait" else 403
            return self._outside(known, device, status, text)
        except (LedgerDown, BookError, StateError):
            return failed(known.words, "ledger_down", 503)
        except Lost:
            return failed(known.words, "changed_meanwhile", 409)
        return RedirectResponse("/", 303)

    async def ask(self, request: Request) -> Response:
        known = visitor(request)
        try:
            await form(request)
            device = await self._device(known)
            if device is None or device.state is not DeviceState.APPROVED:
                return self._outside(known, device, 403)
            reading = await self._readings.of(device)
            if reading is None:
                return failed(known.words, "ledger_down", 503)
            if gauge := asking.stopping(reading):
                change = asking.request(device, gauge, self._world.now())
                await commit(self._world, device, change)
        except FormError as error:
            return failed(known.words, "not_yours", error.status)
        except LedgerDown:
            return failed(known.words, "ledger_down", 503)
        except (Lost, BookError):
            return failed(known.words, "changed_meanwhile", 409)
        return RedirectResponse("/", 303)

    async def _device(self, known: Visitor) -> Device | None:
        """``None``: unknown, and cannot be entered now."""
        if device := device_by_identity(self._world.book, known.identity):
            return device
        try:
            return await self._world.enrol(known.identity)
        except (LedgerDown, BookError):
            return None

    def _outside(
        self, known: Visitor, device: Device | None, status: int = 200, problem: str = ""
    ) -> Response:
        """For a device that is not let in, or whose claim failed."""
        blocked = device is not None and device.state is DeviceState.BLOCKED
        page = look.render(
            "outside",
            known.words,
            device=device,
            blocked=blocked,
            problem=problem,
            token=known.token,
            refresh=0 if problem else PENDING_REFRESH_S,  # a reload would send the form again
        )
        return HTMLResponse(page, status)

    async def _inside(self, known: Visitor, device: Device) -> Response:
        book = self._world.book
        words, unit = known.words, unit_of(book)
        reading = await self._readings.of(device)
        figures = None
        if reading is not None:
            tightest = reading.tightest
            figures = {
                "today": words.volume(reading.today, unit),
                "trip": words.volume(reading.trip, unit),
                "hero": view.gauge(words, book, tightest) if tightest else None,
                "gauges": view.gauges(words, book, reading),
                "bars": view.bars(words, book, reading),
                "plan_used": words.volume(reading.plan_used, unit),
                "warned": view.warned(words, book, reading),
                "asking": asking.asking(words, book, device, reading, self._world.now()),
            }
        page = look.render(
            "device",
            words,
            device=device,
            figures=figures,
            plan=_plan_end(known, book),
            claimable=not has_owner(book),
            problem="",
            token=known.token,
            zone=zone_of(book),
            counted="counted_uplink" if self._settings.wire else "counted_upstream",
            refresh=REFRESH_S,
        )
        return HTMLResponse(page)


def _claim(device: Device) -> Change:
    def apply(book: Book) -> tuple[Book, str]:
        return claim_device(book, device.id), device.name

    return Change("device claim", apply)


def _plan_end(known: Visitor, book: Book) -> str | None:
    """When an unlimited plan ends; a limited one has a gauge of its own."""
    plan = book.plan
    if plan is None or plan.volume is not None:
        return None
    if plan.expires_at is None:
        return known.words("no_end")
    return known.words("ends", when=known.words.moment(plan.expires_at, plan.tz))
