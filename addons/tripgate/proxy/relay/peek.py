"""A connection before the decision: its first bytes, looked at and left where they are.

Rules
1. The name is the SNI of a ClientHello or the Host of a request; all bytes stay in the socket.
2. Where the client speaks first by convention (``CLIENT_FIRST``) it has ``HEAD_S`` for that. On
   other ports a client that says nothing within ``HUSH_S`` waits for the server: there is no name.
3. Who has begun to say something has ``HEAD_S`` to end it, then it is reset (slow loris).
4. What is neither, or too long, has no name.
"""

import select
import socket
from collections.abc import Callable

from tripgate.core import marks
from tripgate.core.sniff import Sniffer
from tripgate.proxy.relay.engine import BUFFER
from tripgate.proxy.relay.lane import Lane
from tripgate.proxy.relay.observers import Observed
from tripgate.proxy.relay.verdict import Address, Asked
from tripgate.proxy.upstream import Socket

CLIENT_FIRST = frozenset({80, 443})

_TLS_HANDSHAKE = 22
_BROKEN = select.EPOLLERR | select.EPOLLHUP


class Peek:
    """A client's connection until it is allowed or refused."""

    __slots__ = (
        "_admit",
        "_asked",
        "_lane",
        "_late",
        "_seen",
        "_sniffer",
        "address",
        "client",
        "crowd",
        "destination",
        "observed",
        "over",
        "refused_once",
        "sock",
    )  # fmt: skip

    def __init__(
        self,
        lane: Lane,
        admit: Callable[["Peek", Asked], None],
        sock: Socket,
        client: Address,
        destination: Address,
    ) -> None:
        self.sock = sock
        self.client = client
        self.crowd = lane.crowd_of(client[0])
        self.address = client[0]
        self.destination = destination
        self.observed: Observed | None = None
        self.over = False
        self.refused_once = False
        self._admit = admit
        self._lane = lane
        self._sniffer: Sniffer | None = Sniffer()
        self._seen = 0
        self._late = False
        self._asked: Asked | None = None

    def event(self, fd: int, mask: int) -> None:
        """The client has sent something, or has gone."""
        if mask & _BROKEN:
            self.abort()
        elif self._asked is None:
            self._look(ended=bool(mask & select.EPOLLRDHUP))

    def _look(self, *, ended: bool) -> None:
        view = self._lane.engine.view
        try:
            got = self.sock.recv_into(view, BUFFER, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            got = 0
        sniffer = self._sniffer
        if not got or sniffer is None:
            self.abort()
            return
        sniffer.feed(bytes(view[self._seen : got]))
        self._seen = got
        if sniffer.done or ended or got == BUFFER:
            if self.observed is not None:
                self.observed.hello(sniffer.name, bytes(view[:got]), http=sniffer.http)
            head = bytes(view[:got]) if sniffer.http else b""
            self._decide(sniffer.name, head)

    def expire(self, now: float) -> None:
        """Nothing came, or not enough."""
        if self._late:
            self._lane.stats.verdicts["refuse-silent"] += 1
            self.abort()
        elif self._seen or self.destination[1] in CLIENT_FIRST:
            self._late = True
            self._lane.heads.enter(self, now)
        else:
            if self.observed is not None:
                self.observed.hello(None, b"", http=False)
            self._decide(None, b"")

    def _decide(self, name: str | None, head: bytes) -> None:
        self._sniffer = None
        self._leave_queue()
        self._asked = Asked(self.client, self.destination, name, head, self._slot())
        self.pump()

    def _slot(self) -> int:
        """An accepted socket has the mark of its SYN (``net.ipv4.tcp_fwmark_accept``)."""
        return marks.slot_of(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK))

    def pump(self) -> None:
        """Ask for the decision; again after each grant that was waited for."""
        if self._asked is not None and not self.over:
            self._admit(self, self._asked)

    def refused(self) -> None:
        """There was no grant: the decision has the last word."""
        self.refused_once = True
        self.pump()

    def abort(self) -> None:
        """Reset the client."""
        if not self.over:
            self.end()
            self._lane.engine.close_soon(self.sock, reset=True)
            self._lane.left(self.crowd)
            if self.observed is not None:
                self.observed.over(None)

    def end(self) -> None:
        """The socket is another's now."""
        self.over = True
        if self._asked is None:
            self._leave_queue()

    def _leave_queue(self) -> None:
        (self._lane.heads if self._late else self._lane.hushed).leave(self)
