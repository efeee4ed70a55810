"""One upstream connection: its meter, its socket, and how it is cut.

Rules
1. A byte moves after ``up``/``down`` gave it away, and never otherwise.
2. Cut means: no budget, both sockets reset. Closing politely would make a truncated download look
   complete.
3. The last word is the kernel's: at the end the socket's ``tcp_info`` says what arrived unread
   and what was never sent.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from tripgate.core import tcpinfo
from tripgate.core.meter import Meter, WireState
from tripgate.proxy.account import Account
from tripgate.proxy.desk import LeaseDesk

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` on with zero seconds: close sends RST and drops what is queued."""

WINDOW_MIN = 4 * 1024
WINDOW_FREE = 1024 * 1024
"""A window of this size and above is left to the kernel's autotuning."""

LAST_LOOKS = 8

FIN_SENT = frozenset({tcpinfo.FIN_WAIT1, tcpinfo.FIN_WAIT2})
FIN_RECEIVED = frozenset({tcpinfo.CLOSE_WAIT, tcpinfo.LAST_ACK, tcpinfo.CLOSING})


def reset(transport: asyncio.WriteTransport) -> None:
    """Close with RST, now."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()


def acknowledge(sock: Any) -> None:
    """Have the kernel send the ACK that it delays, on a socket that is about to be closed.

    ``TCP_QUICKACK`` does nothing once a FIN was sent; there reading does it. One byte will do, and
    must: to read more would open the window. What is left unread makes the close a reset in any
    case, so the byte that was read here must too.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state in FIN_SENT and os.read(sock.fileno(), 1):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


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

    # -- bytes ------------------------------------------------------------------------------

    def try_up(self, want: int) -> int:
        """Take what may be sent now, without waiting; 0 if there is none."""
        return 0 if self._over else self._took(self.meter.take_up(want))

    async def up(self, want: int) -> int:
        """Take up to ``want`` bytes to send; waits for a grant; 0: cut."""
        while not (got := self.try_up(want)):
            if not await self._more():
                return 0
        return got

    async def down(self, want: int) -> int:
        """Take up to ``want`` bytes to deliver; waits for a grant; 0: cut."""
        while not (got := self._try_down(want)):
            if not await self._more():
                return 0
        return got

    def _try_down(self, want: int) -> int:
        return 0 if self._over else self._took(self.meter.take_down(want))

    def _took(self, got: int) -> int:
        if got:
            self.account.moved()
        if self.account.budget.low:
            self._desk.low(self.account)
        return got

    async def _more(self) -> bool:
        return not self._over and await self._desk.more(self.account)

    @property
    def _over(self) -> bool:
        return self._is_cut or self.finished

    # -- life -------------------------------------------------------------------------------

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """The upstream socket is connected."""
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.account.flows.add(self)
        self.account.hold_windows()

    def lost(self) -> None:
        """The upstream socket is about to be closed: count the rest."""
        if not self.finished:
            self.finished = True
            self.account.end(self, self._last_word())

    def _last_word(self) -> WireState | None:
        """The last counts, with everything in them acknowledged: the reset that follows would
        leave a delayed ACK unsent, and the server would not know what the uplink has carried.
        Nothing more is let in meanwhile."""
        sock = self.transport.get_extra_info("socket") if self.transport else None
        wire = self.wire()
        if sock is None or wire is None:
            return wire
        self.window(0)
        for _ in range(LAST_LOOKS):
            acknowledge(sock)
            before, wire = wire.received, self.wire() or wire
            if wire.received == before:
                break
        return wire

    def window(self, volume: int) -> None:
        """Offer the server at most ``volume`` bytes beyond what was read.

        ``SO_RCVBUF`` and not ``TCP_WINDOW_CLAMP``: autotuning lifts a clamp again.
        """
        sock = self.transport.get_extra_info("socket") if self.transport else None
        if sock is not None and volume < WINDOW_FREE:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, max(volume, WINDOW_MIN))

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
        sock = self.transport.get_extra_info("socket") if self.transport else None
        if sock is None:
            return None
        try:
            raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        except OSError:
            return None
        info = tcpinfo.parse(raw)
        fin = 1 if info.state in FIN_RECEIVED else 0
        return WireState(
            sent=info.bytes_sent - info.bytes_retrans,
            received=info.bytes_received - fin,
            segments=info.segs_in + info.segs_out,
            retransmitted=info.bytes_retrans,
            dead=self._is_cut or info.state == tcpinfo.CLOSE,
        )
