"""The meter of one relayed connection in router mode: it charges bytes of L3, not payload.

Rules
1. A payload is charged at its cost on the wire (:mod:`tripgate.core.wirecost`), in both directions:
   a download's acknowledgements are bytes up.
2. Who asks may move what ``room`` says, and says what it moved before the bytes go on. In between
   nothing else takes from the budget: there is one thread.
3. A budget too small for the headers of one more byte is spent as headers, or it would never be
   empty and nobody would ask for more.
4. What arrived and was never read is charged at the end; what was taken and never sent goes back.
"""

from tripgate.core.meter import Meter, Payer, Posting, WireState
from tripgate.core.wirecost import WireCost


class WireMeter(Meter):
    """``up`` and ``down`` are bytes of L3; ``payload_up``, ``payload_down`` what they carried."""

    __slots__ = ("_payload", "cost", "payload_down", "payload_up")

    def __init__(self, payer: Payer, name: str | None, address: str, cost: WireCost) -> None:
        super().__init__(payer, name, address)
        self._sniffer = None
        self.cost = cost
        self.payload_up = self.payload_down = 0
        self._payload = (0, 0)

    def room(self, want: int) -> int:
        """Bytes of ``want`` that may be moved now; 0 means: wait for a grant."""
        budget = self._payer.budget
        left = budget.left
        if left > 2 * want + 4 * self.cost.header:  # far from the end: nothing to work out
            return want
        room = min(want, self.cost.payload(left))
        if not room and left:
            self.down += budget.take(left)
        return room

    def take_up(self, want: int) -> int:
        """Bytes of ``want`` that may be sent now, for who asks and moves at once."""
        if got := self.room(want):
            self.moved_up(got)
        return got

    def take_down(self, want: int) -> int:
        """Bytes of ``want`` that may be delivered now."""
        if got := self.room(want):
            self.moved_down(got)
        return got

    def moved_up(self, payload: int) -> None:
        """``payload`` bytes within ``room`` are about to be sent."""
        sent, acknowledged = self.cost.both(payload)
        self._payer.budget.taken += sent + acknowledged
        self.up += sent
        self.down += acknowledged
        self.payload_up += payload

    def moved_down(self, payload: int) -> None:
        """``payload`` bytes within ``room`` are about to be delivered."""
        sent, acknowledged = self.cost.both(payload)
        self._payer.budget.taken += sent + acknowledged
        self.down += sent
        self.up += acknowledged
        self.payload_down += payload

    def headers(self, cost: tuple[int, int]) -> None:
        """Charge segments without payload, (up, down), whether there is budget or not."""
        self._payer.budget.charge(sum(cost))
        self.up += cost[0]
        self.down += cost[1]

    def post(self, wire: WireState | None) -> Posting:
        """What is new since the last call, less what still lies unsent in the gateway's buffers."""
        unsent = max(0, self.payload_up - wire.sent) if wire is not None else 0
        up = max(self._up_posted, self.up - unsent)
        new = Posting(up - self._up_posted, self.down - self._down_posted, 0)
        self._up_posted, self._down_posted = up, self.down
        return new

    @property
    def payload_sent(self) -> int:
        return self.payload_up

    @property
    def payload_got(self) -> int:
        return self.payload_down

    def post_payload(self) -> tuple[int, int]:
        up, down = self.payload_up - self._payload[0], self.payload_down - self._payload[1]
        self._payload = (self.payload_up, self.payload_down)
        return up, down

    def end(self, wire: WireState | None) -> None:
        """The connection is over; ``wire`` is its last state, ``None`` if all is accounted for."""
        if self.ended:
            return
        self.ended = True
        if wire is None:
            return
        unread = wire.received - self.payload_down
        if unread > 0:
            self._payer.budget.charge(self.cost.volume(unread))
            self.down += self.cost.sent(unread)
            self.up += self.cost.acknowledged(unread)
            self.payload_down += unread
        if wire.dead:
            unsent = max(0, min(self.payload_up - wire.sent, self.up - self._up_posted))
            self._payer.budget.refund(unsent)
            self.up -= unsent
            self.payload_up -= unsent
