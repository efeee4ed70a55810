"""The page of a refusal: written whole, then the connection lingers until it is home.

Rules
1. The page is the only thing that is written; what the client still sends is read and thrown away
   for a moment: a close with unread bytes would reset the connection and destroy the page.
2. Lingering is bounded in bytes and in time.
"""

import contextlib
import select
import socket

from tripgate.proxy.relay.engine import BOTH
from tripgate.proxy.relay.lane import Lane
from tripgate.proxy.upstream import Socket

LINGER = 1024 * 1024


class Answer:
    """A client that is told one last thing."""

    __slots__ = ("_crowd", "_lane", "_over", "_page", "_read", "_sock")

    def __init__(self, lane: Lane, sock: Socket, crowd: str, page: bytes) -> None:
        self._lane = lane
        self._sock = sock
        self._crowd = crowd
        self._page = page
        self._read = 0
        self._over = False

    def begin(self) -> None:
        """Write, then wait for the client's end."""
        engine = self._lane.engine
        engine.hand_over(self._sock.fileno(), self)
        engine.rewatch(self._sock.fileno(), BOTH)
        self._lane.lingering.enter(self, engine.now)

    def event(self, fd: int, mask: int) -> None:
        """Room to write, or something to throw away."""
        try:
            if mask & select.EPOLLERR:
                self._close()
                return
            self._write()
            self._discard()
        except OSError:
            self._close()

    def _write(self) -> None:
        if not self._page:
            return
        with contextlib.suppress(BlockingIOError):
            while self._page:
                self._page = self._page[self._sock.send(self._page) :]
            self._sock.shutdown(socket.SHUT_WR)

    def _discard(self) -> None:
        view = self._lane.engine.view
        with contextlib.suppress(BlockingIOError):
            while self._read < LINGER:
                got = self._sock.recv_into(view)
                if not got:
                    break
                self._read += got
            self._close()

    def expire(self, now: float) -> None:
        """It had its time."""
        self._close()

    def abort(self) -> None:
        """No time to linger."""
        self._close()

    def _close(self) -> None:
        if not self._over:
            self._over = True
            self._lane.lingering.leave(self)
            self._lane.engine.close_soon(self._sock)
            self._lane.left(self._crowd)
