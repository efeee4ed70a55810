"""One way of a flow: bytes from one socket to the other, as far as there is room for them.

Rules
1. Read no more than there is room for, charge, then write. What the writing side does not take
   stays here (at most one buffer, or a pipe), and nothing more is read until it is gone.
2. A read that brings less than it asked for has emptied the socket: the next byte makes an edge.
   Through a pipe that is not so (its slots may be full before its bytes are), so there the socket
   itself has to say that it is empty.
3. A peer that has closed its side makes no further edge: then it is read to the end.
4. A way that goes through a pipe is pumped at most once in ``PAUSE_S``, as a network card gives
   one interrupt for many packets: a wake-up costs more than the packet that caused it. After a
   silence of that length it is pumped at once, and it goes on while each read is worthwhile.
"""

import os
import select
from typing import Protocol

from tripgate.proxy.relay.engine import BOTH, BUFFER, PAUSE_S, RESTING, Engine
from tripgate.proxy.relay.pipes import Pipe
from tripgate.proxy.upstream import Socket

SPLICE_FROM = 256 * 1024
WORTHWHILE = 64 * 1024
"""A read that brings less is followed by a pause, not by the next one."""

ROUNDS = 16
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE

GONE = select.EPOLLRDHUP | select.EPOLLHUP


class Owner(Protocol):
    """The flow, as its ways see it."""

    engine: Engine

    def room(self, way: "Way", want: int) -> int: ...
    def charge(self, way: "Way", volume: int) -> None: ...
    def blocked(self, sock: Socket) -> None: ...
    def ended(self, way: "Way", dst: Socket) -> None: ...
    def reset(self) -> None: ...


class Way:
    """``up``: from the device to the server."""

    __slots__ = (
        "_dst", "_flow", "_held", "_moved", "_pipe", "_piped", "_pumped_at", "_resting",
        "_src", "blocked", "deaf", "done", "ended", "gone", "up",
    )  # fmt: skip

    def __init__(self, flow: Owner, src: Socket, dst: Socket, up: bool) -> None:
        self.up = up
        self._flow = flow
        self._src = src
        self._dst = dst
        self._held = b""
        self._pipe: Pipe | None = None
        self._piped = 0
        self._moved = 0
        self._pumped_at = 0.0
        self._resting = False
        self.deaf = False
        """It waits for the end of a pause, or for room: the source is not listened to."""
        self.gone = False
        """The source has closed its side; there may still be bytes of it."""
        self.ended = False
        """The source was read to its end."""
        self.done = False
        """The end was passed on."""
        self.blocked = False
        """The destination takes no more for now."""

    def wake(self) -> None:
        """There is something to read, or room to write: pump now, or when the pause is over."""
        engine = self._flow.engine
        if self._moved < SPLICE_FROM or engine.now - self._pumped_at >= PAUSE_S:
            self.pump()
        else:
            self._rest()

    def _rest(self) -> None:
        if not self._resting:
            self._resting = True
            self._deafen()
            self._flow.engine.rest(self)

    def _deafen(self) -> None:
        if not self.deaf:
            self.deaf = True
            self._flow.engine.rewatch(self._src.fileno(), RESTING)

    def pump(self) -> None:
        """Move what can be moved until a side blocks, the room ends or the turn is over."""
        engine = self._flow.engine
        self._pumped_at = engine.now
        if self.deaf and not self.done:
            engine.rewatch(self._src.fileno(), BOTH)
        self.deaf = self._resting = False
        try:
            for _ in range(ROUNDS):
                if self.done or ((self._held or self._piped) and not self._flush()):
                    return
                if self.ended:
                    self.done = True
                    self._flow.ended(self, self._dst)
                    return
                piped = self._moved >= SPLICE_FROM
                room = self._flow.room(self, 1 << 20 if piped else BUFFER)
                if not room or not (self._splice(room) if piped else self._copy(room)):
                    return
        except OSError:
            self._flow.reset()
            return
        engine.again(self)

    def _copy(self, size: int) -> bool:
        """Read and write once; False when the next edge is worth waiting for."""
        view = self._flow.engine.view
        try:
            got = self._src.recv_into(view, size)
        except BlockingIOError:
            return False
        if not got:
            self.ended = True
            return True
        self._moved += got
        self._flow.charge(self, got)
        try:
            sent = self._dst.send(view[:got])
        except BlockingIOError:
            sent = 0
        if sent < got:
            self._held = bytes(view[sent:got])
            self._block()
            return False
        return got == size or self.gone

    def _splice(self, room: int) -> bool:
        """The same through a pipe, if there is one to be had."""
        if (pipe := self._pipe or self._flow.engine.pipes.lend()) is None:
            return self._copy(min(room, BUFFER))
        self._pipe = pipe
        size = min(room, pipe.size)
        try:
            got = os.splice(self._src.fileno(), pipe.top, size, flags=_FLAGS)
        except BlockingIOError:
            self._put_down()
            return False
        if not got:
            self.ended = True
            self._put_down()
            return True
        self._moved += got
        self._piped = got
        self._flow.charge(self, got)
        if not self._flush():
            return False
        if 4 * got >= pipe.size:
            pipe.grow()
        if got < min(size, WORTHWHILE) and not self.gone:
            self._rest()
            return False
        return True

    def _flush(self) -> bool:
        """Write what is held; False: the destination takes no more."""
        try:
            while self._held:
                self._held = self._held[self._dst.send(self._held) :]
            while self._piped:
                assert self._pipe is not None
                self._piped -= os.splice(
                    self._pipe.tail, self._dst.fileno(), self._piped, flags=_FLAGS
                )
        except BlockingIOError:
            self._block()
            return False
        self.blocked = False
        return True

    def _block(self) -> None:
        self.blocked = True
        self._deafen()
        self._flow.blocked(self._dst)

    def _put_down(self) -> None:
        if self._pipe is not None:
            self._flow.engine.pipes.give_back(self._pipe)
            self._pipe = None

    def refused(self) -> None:
        """There is no grant: nothing can move any more."""
        self._flow.reset()

    def abort(self) -> None:
        """End the whole flow."""
        self._flow.reset()

    def drop(self) -> None:
        """The flow is over: what is held goes nowhere."""
        self.done = True
        self._held = b""
        if self._pipe is not None:
            if self._piped:
                self._flow.engine.pipes.lose(self._pipe)
            else:
                self._flow.engine.pipes.give_back(self._pipe)
            self._pipe = None
            self._piped = 0
