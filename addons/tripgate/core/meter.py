"""The meter of one upstream connection: what passed, under which name.

Rules
1. ``take_up``/``take_down`` take from the device's budget before the bytes move.
2. What is *posted* to the ledger is what went over the wire: downloads as they are delivered,
   uploads less what still lies unsent in the gateway's buffers. Posted counts only grow.
3. When the connection ends, bytes that arrived and were never read are charged, and bytes that
   were taken and never sent go back to the budget.
4. A name beats an address: the name in CONNECT or SOCKS; where that is an address, the SNI, then
   Host. Bytes that passed before the name was known are posted under the name.
"""

from dataclasses import dataclass
from typing import Protocol

from tripgate.core.lease import Budget
from tripgate.core.sniff import Sniffer

IP_TCP_HEADERS = {4: 20 + 32, 6: 40 + 32}
"""Bytes of IP and TCP header (with the timestamp option, RFC 7323) of one segment."""


@dataclass(frozen=True, slots=True)
class Posting:
    """New bytes of one connection since the last posting; ``overhead`` is headers, uncharged."""

    up: int
    down: int
    overhead: int


@dataclass(frozen=True, slots=True)
class WireState:
    """What the kernel says of the upstream socket (see :mod:`tripgate.core.tcpinfo`).

    ``sent``: bytes sent, each counted once; ``received``: bytes that arrived, read or not;
    ``segments``: segments in both directions; ``retransmitted``: bytes sent again; ``dead``:
    nothing more will be sent.
    """

    sent: int
    received: int
    segments: int = 0
    retransmitted: int = 0
    dead: bool = False


class Payer(Protocol):
    """Who pays: leases come and go, so the budget is looked up each time."""

    budget: Budget


class Meter:
    """Counts one upstream connection against the budget that its payer has at that moment."""

    __slots__ = (
        "_down_posted",
        "_family",
        "_name",
        "_overhead",
        "_overhead_posted",
        "_payer",
        "_sniffer",
        "_up_posted",
        "address",
        "down",
        "ended",
        "up",
    )

    def __init__(self, payer: Payer, name: str | None, address: str, family: int = 4) -> None:
        self._payer = payer
        self._family = family
        self._sniffer = None if name else Sniffer()
        self._name = name
        self.address = address
        self.up = self.down = 0
        self._up_posted = self._down_posted = self._overhead_posted = 0
        self._overhead = 0
        self.ended = False

    @property
    def name(self) -> str | None:
        """The destination's name as far as it is known."""
        return self._name

    @property
    def named(self) -> bool:
        """False while the first bytes may still bring a name."""
        return self._sniffer is None

    def take_up(self, want: int) -> int:
        """Bytes of ``want`` that may be sent now."""
        got = self._payer.budget.take(want)
        self.up += got
        return got

    def take_down(self, want: int) -> int:
        """Bytes of ``want`` that may be delivered now."""
        got = self._payer.budget.take(want)
        self.down += got
        return got

    def see(self, data: bytes) -> None:
        """Show the meter the first bytes of an upload, for the name in them."""
        sniffer = self._sniffer
        if sniffer is None:
            return
        sniffer.feed(data)
        if sniffer.done:
            self._name, self._sniffer = sniffer.name, None

    def post(self, wire: WireState | None) -> Posting:
        """What is new since the last call; ``wire`` ``None`` posts all that was taken."""
        up = self.up
        if wire is not None:
            up = max(self._up_posted, min(self.up, wire.sent))
            headers = wire.segments * IP_TCP_HEADERS[self._family] + wire.retransmitted
            self._overhead = max(self._overhead, headers)
        new = Posting(
            up - self._up_posted,
            self.down - self._down_posted,
            self._overhead - self._overhead_posted,
        )
        self._up_posted, self._down_posted = up, self.down
        self._overhead_posted = self._overhead
        return new

    @property
    def payload_sent(self) -> int:
        """Payload up so far, handed to the socket."""
        return self.up

    @property
    def payload_got(self) -> int:
        """Payload that was taken to be delivered."""
        return self.down

    def post_payload(self) -> tuple[int, int]:
        """Payload up and down since the last call; headers are somebody else's to count."""
        new = self.post(None)
        return new.up, new.down

    def end(self, wire: WireState | None) -> None:
        """The connection is over; ``wire`` is its last state, ``None`` if there is none."""
        if self.ended:
            return
        self.ended, self._sniffer = True, None
        if wire is None:
            return
        unread = wire.received - self.down
        if unread > 0:
            self._payer.budget.charge(unread)
            self.down += unread
        if wire.dead:
            unsent = self.up - max(self._up_posted, min(self.up, wire.sent))
            self._payer.budget.refund(unsent)
            self.up -= unsent
