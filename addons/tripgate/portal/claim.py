"""The claim code in the state folder: made at start, entered once at the portal.

Rules
1. The file is private to the state folder's owner (or its group, who may edit everything anyhow)
   and is replaced whole. The code is shown by ``up`` and ``admin claim`` and nowhere else.
2. One code at a time. The right answer uses it up before anything is changed; where the change
   then fails, it is put back.
3. Wrong answers count in the file, so that a restart gives no new tries, and per device for
   ``WAIT_S``: one guest must not use up all of them in a moment.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tripgate.core import claimcode
from tripgate.core.claimcode import ClaimCode
from tripgate.statefolder import StateFolder

DEVICE_TRIES = 5
WAIT_S = 900.0
MOST_DEVICES = 256


class ClaimError(Exception):
    """The code was not accepted. ``reason``: ``wrong``, ``wait`` or ``void``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read(folder: StateFolder) -> ClaimCode | None:
    """The code that is valid now. Raises ``StateError``."""
    text = folder.read_claim()
    code = claimcode.load(text) if text else None
    return None if code is None or code.void else code


def ensure(folder: StateFolder, *, renew: bool = False) -> ClaimCode:
    """The valid code, made when there is none. Raises ``StateError``."""
    code = None if renew else read(folder)
    if code is None:
        code = claimcode.make(secrets.randbits(40))
        folder.write_claim(claimcode.dump(code))
    return code


class ClaimDesk:
    """Takes answers to the code, one at a time."""

    def __init__(self, folder: StateFolder, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._now = monotonic
        self._lock = asyncio.Lock()
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @asynccontextmanager
    async def redeem(self, device: str, typed: str) -> AsyncIterator[None]:
        """Use the code up for what is done inside; put it back if that fails.

        Raises :class:`ClaimError`, or ``StateError``.
        """
        async with self._lock:
            code = await self._check(device, typed)
            await asyncio.to_thread(self._folder.remove_claim)
            try:
                yield
            except BaseException:
                await asyncio.to_thread(self._folder.write_claim, claimcode.dump(code))
                raise
            self._wrong.pop(device, None)

    async def _check(self, device: str, typed: str) -> ClaimCode:
        count, until = self._wrong.get(device, (0, 0.0))
        if self._now() >= until:
            count = 0
        if count >= DEVICE_TRIES:
            raise ClaimError("wait")
        code = await asyncio.to_thread(read, self._folder)
        if code is None:
            raise ClaimError("void")
        if code.matches(typed):
            return code
        self._wrong[device] = (count + 1, self._now() + WAIT_S)
        self._wrong.move_to_end(device)
        if len(self._wrong) > MOST_DEVICES:
            self._wrong.popitem(last=False)
        worse = ClaimCode(code.code, code.left - 1)
        await asyncio.to_thread(self._folder.write_claim, claimcode.dump(worse))
        raise ClaimError("wrong")
