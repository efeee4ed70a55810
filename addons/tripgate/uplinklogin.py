"""The login at an uplink's portal, as the book has it, in force for its time.

Rules
1. Its time is measured on the monotonic clock from when the gateway sees it, and is never longer
   than ``LOGIN_S``. One that is found at the start is believed with a trusted clock only.
2. It is of an owner's approved device, or it is over.
"""

from tripgate.core.model import Device, Login
from tripgate.core.uplinks import LOGIN_S
from tripgate.proxy.desk import LeaseDesk


class UplinkLogin:
    """Follows ``desk.book``."""

    def __init__(self, desk: LeaseDesk) -> None:
        self._desk = desk
        self._seen: Login | None = desk.book.login
        self._ends = desk.clock.monotonic() + self._rest(self._seen, 0.0)

    def device(self) -> Device | None:
        """Who may reach the portal now."""
        clock, login = self._desk.clock, self._desk.book.login
        if login != self._seen:
            self._seen, self._ends = login, clock.monotonic() + self._rest(login, LOGIN_S)
        if login is None or clock.monotonic() >= self._ends:
            return None
        device = self._desk.book.devices.get(login.device)
        return device if device is not None and device.manages else None

    def _rest(self, login: Login | None, untrusted: float) -> float:
        if login is None or not self._desk.clock.trusted():
            return untrusted
        return min(LOGIN_S, max(0.0, login.until - self._desk.clock.wall()))
