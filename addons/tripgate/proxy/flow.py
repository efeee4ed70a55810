"""One upstream connection: its meter, its socket, and how it is cut.

Rules
1. A byte moves after ``up``/``down`` gave it away, and never otherwise.
2. Cut means: no budget, both sockets reset. Closing politely would make a truncated download look
   complete.
3. A slowed flow takes no more than its bucket has, and offers the server no more than its bucket
   gives in ``LOOK_S``, nor than its account's share: the smaller of both holds.
4. The last word is the kernel's: at the end the socket's ``tcp_info`` says what arrived unread
   and what was never sent.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any

from tripgate.core.bucket import Bucket
from tripgate.core.meter import Meter, WireState
from tripgate.proxy import upstream
from tripgate.proxy.account import FREE, Account
from tripgate.proxy.desk import LeaseDesk

LOOK_S = 0.5
"""A waiting flow looks this often whether it is still slowed."""

DOUBLED = 2
"""The kernel doubles a receive buffer for its own bookkeeping, lifts the clamp when it measures
segments, and offers nearly all of the buffer where they come packed well (GRO)."""

READ_MOST, READ_LEAST = 256 * 1024, 1024
"""Bytes that the transport reads at once. Two reads may be under way, one held back by the meter,
one behind it: near a limit half of the window at most, and not in it any more."""


def reset(transport: asyncio.WriteTransport) -> None:
    """Close with RST, now."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, upstream.RESET_ON_CLOSE)
    transport.abort()


def undelivered(transport: asyncio.WriteTransport) -> bool:
    """The other side has not got everything that was written."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing():
        return False
    if transport.get_write_buffer_size():
        return True
    return bool(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])


class Flow:
    """Metered bytes between one client connection and one server."""

    def __init__(
        self, desk: LeaseDesk, account: Account, meter: Meter, abort_client: Callable[[], None]
    ) -> None:
        self.meter = meter
        self.account = account
        self.transport: asyncio.WriteTransport | None = None
        self.finished = False
        self._desk = desk
        self._abort_client = abort_client
        self._is_cut = False
        self._bucket: Bucket | None = None
        self._share = FREE
        self._held = False
        self._silent = False

    # -- bytes ------------------------------------------------------------------------------

    def try_up(self, want: int) -> int:
        """Take what may be sent now, without waiting; 0 if there is none."""
        return self._try(self.meter.take_up, want)

    async def up(self, want: int) -> int:
        """Take up to ``want`` bytes to send; waits for a grant; 0: cut."""
        while not (got := self.try_up(want)):
            if not await self._more():
                return 0
        return got

    async def down(self, want: int) -> int:
        """Take up to ``want`` bytes to deliver; waits for a grant; 0: cut."""
        if self.undecided:  # the server speaks first: no name comes before that
            self._silent = True
            self._desk.judge.apply(self.account, self)
        while not (got := self._try(self.meter.take_down, want)):
            if not await self._more():
                return 0
        return got

    def _try(self, take: Callable[[int], int], want: int) -> int:
        if self._over:
            return 0
        bucket = self._bucket
        if bucket is None:
            return self._took(take(want))
        bucket.fill(self._desk.clock.monotonic())
        portion = min(want, bucket.share(1))
        got = self._took(take(portion)) if portion else 0
        bucket.take(got)
        return got

    def _took(self, got: int) -> int:
        if got:
            self.account.moved()
        if self.account.budget.low:
            self._desk.low(self.account)
        return got

    async def _more(self) -> bool:
        """Wait for a grant, and for the bucket; False: cut."""
        if self._over or not await self._desk.more(self.account):
            return False
        if self._bucket is not None and not self._bucket.share(1):
            await asyncio.sleep(min(self._bucket.wait, LOOK_S))
        return True

    def see(self, data: bytes) -> None:
        """The client's next bytes: they may name the destination, and the name decides."""
        named = self.meter.named
        self.meter.see(data)
        if self.meter.named and not named:
            self._desk.judge.apply(self.account, self)

    def slow(self, bucket: Bucket | None) -> None:
        """Take from this bucket too, or from none; the window follows (rule 3)."""
        if bucket is not self._bucket:
            self._bucket = bucket
            self.window(self._share)

    @property
    def undecided(self) -> bool:
        """Its name may still come, and nothing was delivered."""
        return not (self.meter.named or self._silent)

    @property
    def _over(self) -> bool:
        return self._is_cut or self.finished

    # -- life -------------------------------------------------------------------------------

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """The upstream socket is connected."""
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.account.join(self)
        self._desk.judge.apply(self.account, self)

    def lost(self) -> None:
        """The upstream socket is about to be closed: count the rest."""
        if not self.finished:
            self.finished = True
            self.account.end(self, self._last_word())

    def window(self, volume: int) -> None:
        """Offer the server at most ``volume`` bytes beyond what was read (rule 3)."""
        self._share = volume
        if self._bucket is not None:
            volume = min(volume, int(self._bucket.speed * LOOK_S))
        if (sock := self._socket()) is not None:
            self._held = upstream.set_window(sock, volume // DOUBLED, held=self._held)
            reads = min(READ_MOST, max(READ_LEAST, volume // 4))
            self.transport.max_size = reads  # type: ignore[union-attr]  # asyncio's, undeclared

    def cut(self) -> bool:
        """Reset both sides; False: that was done before."""
        if self._is_cut:
            return False
        self._is_cut = True
        if self.transport is not None:
            reset(self.transport)
        self._abort_client()
        return True

    def wire(self) -> WireState | None:
        """The socket's own counts; ``None`` where the kernel does not tell."""
        sock = self._socket()
        return upstream.wire(sock, dead=self._is_cut) if sock is not None else None

    def _last_word(self) -> WireState | None:
        sock = self._socket()
        return upstream.last_word(sock, dead=self._is_cut) if sock is not None else None

    def _socket(self) -> Any:
        return self.transport.get_extra_info("socket") if self.transport else None
