"""A device's account where the kernel counts (router mode).

Rules
1. What is charged are L3 bytes on the uplink, from the kernel's counters. Flows take estimates in
   between, so that a cut comes in time; a reading puts the truth in their place.
2. A flow tells the names only (:mod:`tripgate.core.attribution`).
3. Forwarded packets never ask anybody: the kernel holds a part of the budget for them (``held``)
   and drops what is beyond, also when this process is dead.
4. After a crash the kernel still has its counts, so estimates are not kept anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tripgate.core.attribution import Attribution
from tripgate.core.counts import Volume
from tripgate.core.meter import WireState
from tripgate.proxy.account import Account, Metered

FORWARD_MIN = 64 * 1024
FORWARD_S = 3.0
"""The kernel is given what the device forwards in that time."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the kernel has counted of one device since the last reading, in L3 bytes.

    ``forwarded``: the part of it that went past the relay.
    """

    total: Volume
    forwarded: int


class KernelAccount(Account):
    """See the rules above. ``present``: the device is on the LAN now.

    ``refill`` shares the budgets out to the kernel.
    """

    crowd = 1

    def __init__(self, device: str, opener: Callable[[Account], None]) -> None:
        super().__init__(device, opener)
        self._attribution = Attribution()
        self.present = False
        self.refill: Callable[[], None] | None = None
        self._forward_rate = 0.0

    def idle(self, now: float) -> bool:
        """A device that is there keeps its slice: its next packet asks nobody (rule 3)."""
        return not self.present and super().idle(now)

    @property
    def needs_lease(self) -> bool:
        """There is none, or it is to be followed by another."""
        return self.lease is None or self.lease.rotate

    def grown(self) -> None:
        """The kernel gets its part at once: forwarded packets are being dropped."""
        if self.refill and not self.budget.held:
            self.refill()

    def moved(self) -> None:
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

    def _name(self, flow: Metered, *, sure: bool) -> None:
        meter = flow.meter
        if not sure and not (meter.named or meter.down):
            return  # the name is in the next bytes
        payload = Volume(*meter.post_payload())
        if payload.total:
            self._attribution.add(meter.name, payload)

    def spend_rest(self, name: str | None) -> None:
        """Too little for a packet: an estimate, so that somebody asks for more."""
        self.budget.take(self.budget.left)

    def count(self, counted: Counted, elapsed: float) -> None:
        """Take a reading: the truth instead of the estimates, and the names to it.

        ``elapsed``: seconds since the reading before.
        """
        self.collect()
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
        if elapsed > 0:
            self._forward_rate += 0.5 * (counted.forwarded / elapsed - self._forward_rate)

    def hold_for_kernel(self, open_: bool) -> int:
        """Set a part of the budget aside for forwarded packets; its size in bytes."""
        budget = self.budget
        budget.held = 0
        if open_ and not budget.revoked:
            wanted = max(FORWARD_MIN, int(self._forward_rate * FORWARD_S))
            share = 1.0 if not self.flows else 0.5
            budget.held = min(wanted, int(budget.left * share))
        return budget.held
