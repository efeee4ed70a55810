"""One relayed connection: two sockets, two ways, a meter.

Rules
1. Cut means reset on both sides: a polite close would make a truncated download look complete.
2. A connect that fails resets the client at once: it may have another address to try.
3. The last word on what arrived is the kernel's, where the server was not read to its end.
"""

import errno
import os
import select
import socket

from tripgate.core.bucket import Bucket
from tripgate.core.meter import WireState
from tripgate.core.wiremeter import WireMeter
from tripgate.proxy import upstream
from tripgate.proxy.account import FREE
from tripgate.proxy.relay.engine import BOTH, READ, RESTING, Engine
from tripgate.proxy.relay.lane import Lane
from tripgate.proxy.relay.listener import own_name
from tripgate.proxy.relay.observers import MeteredFlow
from tripgate.proxy.relay.peek import Peek
from tripgate.proxy.relay.purse import Purse
from tripgate.proxy.relay.throttle import AHEAD, Throttle
from tripgate.proxy.relay.way import GONE, Way
from tripgate.proxy.upstream import Socket

READABLE = select.EPOLLIN | GONE
_ERROR = select.EPOLLERR


class RelayFlow:
    """From the connect to the end. Implements :class:`tripgate.proxy.account.Metered`."""

    __slots__ = (
        "_active_at",
        "_connected",
        "_down",
        "_finished",
        "_held",
        "_lane",
        "_port",
        "_purse",
        "_server_fd",
        "_throttle",
        "_up",
        "address",
        "asked_window",
        "client",
        "crowd",
        "engine",
        "meter",
        "observed",
        "server",
    )  # fmt: skip

    undecided = False  # the name was looked for before the connect

    def __init__(self, lane: Lane, purse: Purse, meter: WireMeter, peek: Peek) -> None:
        self.meter = meter
        self.client = peek.sock
        self.address = peek.client[0]
        self.crowd = peek.crowd
        self.observed = peek.observed
        self.engine: Engine = lane.engine
        self._lane = lane
        self._purse = purse
        self.server: Socket
        self._up: Way
        self._down: Way
        self._connected = self._finished = self._held = False
        self.asked_window: int | None = None  # never told: the kernel's own
        self._throttle: Throttle | None = None
        self._active_at = lane.engine.now

    # -- connect ----------------------------------------------------------------------------

    def connect(self, server: Socket, destination: tuple[str, int], mark: int) -> None:
        """Begin with a fresh socket; the outcome is an event, or a reset of the client."""
        self.server, self._port = server, destination[1]
        self._server_fd = server.fileno()
        self._up = Way(self, self.client, server, True)
        self._down = Way(self, server, self.client, False)
        try:
            if mark:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._purse.join(self)
            self._charge_headers(self.meter.cost.opening)
            code = server.connect_ex(destination)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except OSError:
            self._unreachable()
            return
        self.engine.watch(self._server_fd, self, BOTH)
        self._lane.connecting.enter(self, self.engine.now)

    def _charge_headers(self, cost: tuple[int, int]) -> None:
        self.meter.headers(cost)
        self._purse.taken()

    def _unreachable(self) -> None:
        self._lane.stats.verdicts["unreachable"] += 1
        self.reset()

    # -- events -----------------------------------------------------------------------------

    def event(self, fd: int, mask: int) -> None:
        """Something happened on one of the two sockets."""
        self._active_at = self.engine.now
        if not self._connected:
            self._event_before(fd, mask)
            return
        if mask & _ERROR:
            self.reset()
            return
        if fd == self._server_fd:
            reads, writes = self._down, self._up
        else:
            reads, writes = self._up, self._down
        if mask & GONE:
            reads.gone = True
        if mask & READABLE and not reads.done and not reads.blocked:
            reads.wake()
        if mask & select.EPOLLOUT:
            if writes.blocked:
                writes.blocked = False
                writes.wake()
            elif not (mask & select.EPOLLIN or reads.deaf):
                self.engine.rewatch(fd, READ)  # or each acknowledgement would wake us

    def _event_before(self, fd: int, mask: int) -> None:
        if fd != self._server_fd:
            if mask & GONE:
                self._up.gone = True
            if mask & (select.EPOLLERR | select.EPOLLHUP):
                self.reset()
        elif mask & (select.EPOLLERR | select.EPOLLHUP):
            self._unreachable()
        elif mask & select.EPOLLOUT:
            self._connected = True
            lane = self._lane
            lane.connecting.leave(self)
            lane.idle.enter(self, self.engine.now)
            if self.observed is not None:
                self.observed.connected(own_name(self.server))
            if self.asked_window is not None:
                self.window(self.asked_window)
            self._up.pump()
            if mask & select.EPOLLIN and not self._finished:
                self._down.pump()

    def blocked(self, sock: Socket) -> None:
        """``sock`` takes no more: hear of it when it does."""
        reads = self._up if sock is self.client else self._down
        self.engine.rewatch(sock.fileno(), RESTING if reads.deaf else BOTH)

    def expire(self, now: float) -> None:
        """The time for the connect, or for silence, is over."""
        if not self._connected:
            self._unreachable()
            return
        patience = self._lane.patience(half=self._up.done or self._down.done)
        if now - self._active_at >= patience:
            self.reset()
        else:
            self._lane.idle.enter(self, now)

    # -- bytes ------------------------------------------------------------------------------

    def room(self, way: Way, want: int) -> int:
        """How much ``way`` may read now; 0: it is called again when that changes."""
        if self._throttle is not None and not (want := self._throttle.room(way, want)):
            return 0
        room = self.meter.room(want)
        if not room and not self._finished:
            self._purse.wait(way)
        return room

    def charge(self, way: Way, volume: int) -> None:
        """``volume`` bytes within the room are about to be written."""
        if way.up:
            self.meter.moved_up(volume)
        else:
            self.meter.moved_down(volume)
        if self._throttle is not None:
            self._throttle.took(volume)
        self._purse.taken()

    def ended(self, way: Way, dst: Socket) -> None:
        """``way`` is at its end: so the other side's input is."""
        if self._up.done and self._down.done:
            self._finish(reset=False)
        else:
            dst.shutdown(socket.SHUT_WR)

    # -- the account's view -----------------------------------------------------------------

    def wire(self) -> WireState | None:
        """The upstream socket's counts; ``None`` once it is closed."""
        return None if self._finished else upstream.wire(self.server, dead=False)

    def window(self, volume: int) -> None:
        """Offer the server at most ``volume`` bytes beyond what was read."""
        self.asked_window = volume
        volume = volume if self._throttle is None else min(volume, AHEAD)
        if self._connected or volume < upstream.SYN_WINDOW:
            self._held = upstream.set_window(self.server, volume, held=self._held)

    def slow(self, bucket: Bucket | None) -> None:
        """Move at the bucket's rate, with all others that it slows; ``None``: freely."""
        old = self._throttle
        if self._finished or bucket is (old.bucket if old is not None else None):
            return  # said again with every settlement: who waits keeps its place
        self._throttle = self._lane.throttles.of(bucket) if bucket is not None else None
        self._leave(old)
        self.window(FREE if self.asked_window is None else self.asked_window)
        for way in (self._up, self._down):
            self.engine.again(way)

    def _leave(self, throttle: Throttle | None) -> None:
        if throttle is not None:
            for way in (self._up, self._down):
                throttle.leave(way)
            self._lane.throttles.leave(throttle)

    def cut(self) -> bool:
        """Reset both sides; False: it was over before."""
        if self._finished:
            return False
        self.reset()
        return True

    # -- the end ----------------------------------------------------------------------------

    def reset(self) -> None:
        """Both sides hear it as it is: the stream was cut short."""
        if not self._finished:
            self._finish(reset=True)

    abort = reset

    def _finish(self, *, reset: bool) -> None:
        self._finished = True
        (self._lane.idle if self._connected else self._lane.connecting).leave(self)
        last = None
        if self._connected:
            self.meter.headers(self.meter.cost.closing)
            if not self._down.ended or reset:
                last = upstream.last_word(self.server, dead=reset)
        self._purse.end(self, last)
        self._leave(self._throttle)
        self._throttle = None
        for way in (self._up, self._down):
            self._purse.leave(way)
            way.drop()
        self.engine.close_soon(self.server, reset=reset)
        self.engine.close_soon(self.client, reset=reset)
        self._lane.left(self.crowd)
        if self.observed is not None:
            meter, port = self.meter, self._port
            where = (meter.address, port)
            device = self._purse.account.device
            self.observed.over(MeteredFlow(device, meter.name, where, meter.up, meter.down))
