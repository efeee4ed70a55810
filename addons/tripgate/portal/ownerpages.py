"""``/devices``: what an owner's device may do with all devices.

Rules
1. Who asks must be an approved owner's device at the moment of the change: it is looked up in the
   book that the change is applied to, not in an older one.
2. Nobody blocks the device at hand: it would lock its owner out.
"""

from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tripgate.core import names
from tripgate.core.book import (
    Book,
    BookError,
    approve_device,
    block_device,
    device_by_identity,
    find_device,
    rename_device,
)
from tripgate.core.model import Device, DeviceState
from tripgate.ledger.protocol import LedgerDown
from tripgate.portal import look
from tripgate.portal.change import Change, Lost, commit
from tripgate.portal.guard import FormError, Visitor, form, visitor
from tripgate.portal.message import failed
from tripgate.portal.world import World

_ORDER = (DeviceState.PENDING, DeviceState.APPROVED, DeviceState.BLOCKED)
_Edit = Callable[[Book, Device, Mapping[str, str]], tuple[Book, str]]


class NotOwner(BookError):
    """Rule 1."""


class OwnerPages:
    """The list of devices, and the changes that its forms ask for."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def show(self, request: Request) -> Response:
        known = visitor(request)
        device = device_by_identity(self._world.book, known.identity)
        if device is None or not device.manages:
            return failed(known.words, "not_owner", 403)
        devices = sorted(
            self._world.book.devices.values(), key=lambda one: (_ORDER.index(one.state), one.name)
        )
        page = look.render(
            "devices", known.words, me=device, devices=devices, token=known.token, refresh=0
        )
        return HTMLResponse(page)

    async def change(self, request: Request) -> Response:
        """``POST /devices/ID/ACTION``."""
        known = visitor(request)
        action = request.path_params["action"]
        if action not in _EDITS:
            raise HTTPException(404)
        try:
            fields = await form(request)
            await self._apply(known, action, request.path_params["device"], fields)
        except FormError as error:
            return failed(known.words, "not_yours", error.status)
        except NotOwner:
            return failed(known.words, "not_owner", 403)
        except Lost:
            return failed(known.words, "changed_meanwhile", 409)
        except BookError:
            why = "wrong_name" if action == "name" else "changed_meanwhile"
            return failed(known.words, why, 409)
        except LedgerDown:
            return failed(known.words, "ledger_down", 503)
        return RedirectResponse("/devices", 303)

    async def _apply(
        self, known: Visitor, action: str, device_id: str, fields: Mapping[str, str]
    ) -> None:
        me = device_by_identity(self._world.book, known.identity)
        if me is None or not me.manages:
            raise NotOwner
        edit = _EDITS[action]

        def apply(book: Book) -> tuple[Book, str]:
            now = device_by_identity(book, known.identity)
            device = find_device(book, device_id)
            if now is None or not now.manages or (action == "block" and device.id == now.id):
                raise NotOwner
            return edit(book, device, fields)

        await commit(self._world, me, Change(f"device {action}", apply))


def _approve(book: Book, device: Device, _: Mapping[str, str]) -> tuple[Book, str]:
    return approve_device(book, device.id), device.name


def _block(book: Book, device: Device, _: Mapping[str, str]) -> tuple[Book, str]:
    return block_device(book, device.id), device.name


def _name(book: Book, device: Device, fields: Mapping[str, str]) -> tuple[Book, str]:
    new = fields.get("name", "").strip().lower()
    if not names.valid_name(new):
        raise BookError("no name")
    return rename_device(book, device.id, new), f"{device.name} to {new}"


_EDITS: Mapping[str, _Edit] = {"approve": _approve, "block": _block, "name": _name}
