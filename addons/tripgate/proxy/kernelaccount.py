"""A device's account where the kernel counts (router mode).

Rules
1. What is charged are L3 bytes on the uplink, from the kernel's counters. Flows take estimates in
   between, so that a cut comes in time; a reading puts the truth in their place.
2. A flow tells the names only (:mod:`tripgate.core.attribution`), and what it has taken that is
   not sent yet: that stays charged as an estimate.
3. Forwarded packets never ask anybody: the kernel holds a part of the budget for them (``held``)
   and drops what is beyond, also when this process is dead.
4. After a crash the kernel still has its counts, so estimates are not kept anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tripgate.core.attribution import Attribution
from tripgate.core.counts import NOTHING, Volume, divide, with_headers
from tripgate.core.meter import WireState
from tripgate.core.model import PACKET, Limit
from tripgate.proxy.account import Account, Lease, Metered, Slot

SCARCE = 64 * 1024 * 1024
"""Bytes beyond all leases below which idle devices give their slices back like all others."""

SHARED_FROM = 64 * 1024

SLICE_LEAST = 4 * 1024 * 1024
"""What the kernel drops for want of a quota was billed all the same: a stream that begins at the
uplink's full rate is to find a third of a second of it (at 100 Mbit/s)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the kernel has counted of one device since the last reading, in L3 bytes.

    ``forwarded``: the part of it that went past the relay.
    """

    total: Volume
    forwarded: int


class KernelAccount(Account):
    """See the rules above. ``present``: the device is on the LAN now; ``dry``: it was stopped by
    its quota.

    ``refill`` shares the budgets out to the kernel.
    """

    crowd = 1

    def __init__(self, device: str, opener: Callable[[Account], None]) -> None:
        super().__init__(device, opener)
        self._attribution = Attribution()
        self.present = self.dry = False
        self.refill: Callable[[], None] | None = None
        self._forwards = self._resting = False
        self._sending: set[Metered] = set()

    def open(self, lease_id: str, limits: tuple[Limit, ...], slot: Slot) -> Lease:
        lease = super().open(lease_id, limits, slot)
        lease.budget.least = SLICE_LEAST
        return lease

    def idle(self, now: float) -> bool:
        """A device that is there keeps its slice: its next packet asks nobody (rule 3)."""
        return (self._scarce or not self.present) and super().idle(now)

    def revoke(self) -> None:
        super().revoke()
        self._resting = False

    def give_back(self) -> None:
        super().give_back()
        self._resting = self._scarce

    @property
    def _scarce(self) -> bool:
        return self.left is not None and self.left < SCARCE

    @property
    def exhausted(self) -> bool:
        """As of any account, with what the kernel holds: it may still be forwarded."""
        return self.refusal is not None and self.budget.left + self.budget.held < PACKET

    @property
    def sure(self) -> int:
        """By the last reading. Flows go on taking estimates while it is settled, also of what had
        arrived and was in it."""
        budget = self.budget
        return 0 if budget.revoked else budget.granted - budget.counted - self._unsent()

    @property
    def active(self) -> bool:
        """Packets ask nobody: who is there may move something at any time."""
        return self.present or super().active

    @property
    def needs_lease(self) -> bool:
        """There is none, or it is to be followed by another. Who gave back what others may need
        waits with it until a packet was stopped: that one comes again."""
        moves = self.dry or self._forwards or bool(self.flows)
        return (self.lease is None or self.lease.rotate) and (moves or not self._resting)

    def grown(self) -> None:
        """The kernel gets its part at once: forwarded packets are being dropped."""
        self._resting = False
        if self.refill and (self.dry or not self.budget.held):
            self.refill()

    def reclaim(self) -> None:
        """What was set aside for packets is the flows' before they are refused."""
        if self.refill and self.budget.held:
            self.refill()

    def moved(self) -> None:
        self.stirred = True
        self.hold()

    def _promised(self) -> int:
        """What arrived is in the kernel's counts; windows are shared out as they were."""
        return 0

    def collect(self, *, everything: bool = False) -> None:
        for flow in self.flows:
            self._name(flow, sure=everything)

    def end(self, flow: Metered, wire: WireState | None) -> None:
        flow.meter.end(None)
        self._name(flow, sure=True)
        self.flows.discard(flow)
        self._sending.discard(flow)

    def _name(self, flow: Metered, *, sure: bool) -> None:
        meter = flow.meter
        if not sure and not (meter.named or meter.down):
            return  # the name is in the next bytes
        payload = Volume(*meter.post_payload())
        if payload.total:
            self._attribution.add(meter.name, payload)
        if payload.up:
            self._sending.add(flow)

    def spend_rest(self, name: str | None) -> None:
        """Too little for a packet: an estimate, so that somebody asks for more."""
        self.budget.take(self.budget.left)

    def count(self, counted: Counted) -> None:
        """Take a reading: the truth instead of the estimates, and the names to it."""
        self.collect()
        self._forwards = counted.forwarded > 0
        if counted.total.total:
            if self.lease is None:
                self._opener(self)
            assert self.lease is not None
            for name, volume in self._attribution.split(counted.total, counted.forwarded).items():
                part = self.lease.parts[name]
                part.up += volume.up
                part.down += volume.down
        if self.lease is not None:
            self.lease.budget.count(counted.total.total)
            self.lease.slot.set(self.lease.budget.counted)
            self.lease.budget.charge(self._unsent())

    def estimate(self) -> Volume:
        """What flows have moved since the last reading, and what has arrived for them, in L3 bytes:
        the truth as they know it, when the kernel's counts of it are lost."""
        if self.lease is None:
            return NOTHING
        self.collect()
        budget = self.lease.budget
        moved = max(0, budget.taken - budget.counted - self._unsent())
        return divide(moved, self._attribution.waiting) + Volume(0, with_headers(self._unread()))

    def _unread(self) -> int:
        """Payload that has arrived and waits to be read."""
        wires = ((flow.meter.payload_got, flow.wire()) for flow in self.flows)
        return sum(max(0, wire.received - got) for got, wire in wires if wire)

    def _unsent(self) -> int:
        """Payload that was taken and lies in send buffers: the kernel will count it."""
        waiting = {flow: self._waits(flow) for flow in self._sending}
        self._sending = {flow for flow, volume in waiting.items() if volume}
        return sum(waiting.values())

    @staticmethod
    def _waits(flow: Metered) -> int:
        wire = flow.wire()
        return max(0, flow.meter.payload_sent - wire.sent) if wire else 0

    def hold_for_kernel(self, open_: bool, most: int | None = None) -> int:
        """Set a part of the budget (no more than ``most``) aside for forwarded packets; its size
        in bytes. Flows get of it what is left when they ask for more."""
        budget = self.budget
        budget.held = 0
        if open_ and not budget.revoked:
            budget.held = int(budget.left * self._share_of_kernel())
        if most is not None:
            budget.held = min(budget.held, most)
        return budget.held

    def _share_of_kernel(self) -> float:
        """Near the end all goes to those who move something, flows or packets. Before that a flow
        that begins is to find something, and asks for more."""
        if self.budget.left >= SHARED_FROM:
            return 0.5 if self.flows else 0.875
        if self.flows and self._forwards:
            return 0.5
        return 0.0 if self.flows else 1.0
