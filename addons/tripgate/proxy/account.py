"""One device's open lease, its flows, and what they moved since the last settlement.

Rules
1. A lease counts in the limits it was opened with. When they change (an edit, a new period) the
   budget is revoked at once and the lease is *rotated*: closed with all that was taken, and
   followed by a new one with the next grant.
2. A row that was handed to the ledger is not changed until the ledger has confirmed it, so that
   sending it again is harmless.
3. Every chunk's ``taken`` goes to the progress page before its bytes move.
4. What a server has sent is billed, read or not. Near a limit the receive windows of all flows
   together stay within half of what is left, from the connect on: a window that was once offered
   cannot be taken back. So the first flow's share is one among ``crowd``: the others of a page
   come before its window is used up. And what was offered to a flow that is slow to use it, or
   has arrived and waits, is not left any more: it is shared out to nobody else.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tripgate.core.bucket import Bucket
from tripgate.core.lease import Budget
from tripgate.core.meter import Meter, WireState
from tripgate.core.model import PACKET, Limit, Session

NEAR = 64 * 1024 * 1024
"""Bytes left at which windows begin to be held."""

HOLD_STEP = 16 * 1024
"""Bytes that move at least before the windows are shared out anew."""

FREE = 1 << 62
"""A window, or what is left, without bound."""


class Metered(Protocol):
    """A flow as its account sees it."""

    @property
    def meter(self) -> Meter: ...
    @property
    def undecided(self) -> bool:
        """Its name may still come, and nothing was delivered."""

    def wire(self) -> WireState | None: ...
    def window(self, volume: int) -> None: ...
    def slow(self, bucket: Bucket | None) -> None: ...
    def cut(self) -> bool: ...


class Slot(Protocol):
    """A place of the progress page: the last ``taken`` of one lease."""

    def set(self, taken: int) -> None: ...
    def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no more: ``cap`` (with the limit and its use) or ``ledger``."""

    kind: str
    limit: Limit | None = None
    used: int = 0
    detail: str = ""
    at: float = 0.0


@dataclass(slots=True)
class Moved:
    """New bytes under one host name."""

    up: int = 0
    down: int = 0
    overhead: int = 0


Parts = dict[str | None, Moved]


@dataclass(slots=True)
class Lease:
    """A lease on its way to the ledger. ``parts`` are not yet settled; ``session``: the plan's that
    was going on when it was opened, whenever it is settled."""

    id: str
    limits: tuple[Limit, ...]
    budget: Budget
    slot: Slot
    parts: Parts
    settled: int = 0
    rotate: bool = False
    session: Session | None = None

    @property
    def moved(self) -> int:
        return sum(part.up + part.down for part in self.parts.values())


class Account:
    """The meter's side of one device."""

    crowd: ClassVar[int] = 8
    """Flows that a device is taken to have at least, when receive windows are shared out."""

    def __init__(self, device: str, opener: Callable[["Account"], None]) -> None:
        self.device = device
        self._opener = opener
        self.flows: set[Metered] = set()
        self.lease: Lease | None = None
        self.closing: list[Lease] = []
        self.refusal: Refusal | None = None
        self.left: int | None = None
        """What the tightest limit leaves beyond all leases, for all who share it; ``None``: no
        limit. Kept by :mod:`tripgate.proxy.shared`."""
        self.sharers = 1
        self.told = 0
        self.tightest: Limit | None = None
        """The limit that ``left`` is about, as of the last grant."""
        self.reached: tuple[Limit, ...] = ()
        """Soft limits that are used up, as the last grant said."""
        self.stirred = False
        """A flow was opened or has moved something since the last settlement."""
        self._share = FREE
        self._edges: dict[Metered, int] = {}
        """How much each server may send in all, by the windows that were offered."""
        self._hold_below, self._hold_above = NEAR, FREE
        self._nothing = self.budget = Budget(revoked=True)
        """What flows may take from now; nothing while there is no lease."""

    @property
    def active(self) -> bool:
        """Is it to have its share where several devices share a limit?"""
        return bool(self.flows)

    @property
    def beyond(self) -> int | None:
        """This device's share of ``left``."""
        return None if self.left is None else max(0, self.left) // self.sharers

    def open(self, lease_id: str, limits: tuple[Limit, ...], slot: Slot) -> Lease:
        self.lease = Lease(lease_id, limits, Budget(), slot, defaultdict(Moved))
        self.budget = self.lease.budget
        return self.lease

    @property
    def exhausted(self) -> bool:
        """There is not even a packet's worth left, and no more to be had."""
        return self.refusal is not None and self.budget.left < PACKET

    @property
    def sure(self) -> int:
        """Bytes that are left by what is known for certain."""
        return self.budget.left

    def grown(self) -> None:
        """A grant has raised the budget."""

    def reclaim(self) -> None:
        """Flows are about to be refused: nothing is set aside for others."""

    def idle(self, now: float) -> bool:
        """The lease lies unused: it may go back."""
        return self.lease is not None and self.lease.budget.idle(now)

    def revoke(self) -> None:
        """Stop taking from the present lease; the next grant opens another."""
        if self.lease:
            self.lease.rotate = True
            self.lease.budget.revoked = True

    def give_back(self) -> None:
        """The lease lies unused: others may need it."""
        self.revoke()

    def moved(self) -> None:
        """Put the taken bytes where they survive a crash of the process; hold the windows."""
        self.stirred = True
        if self.lease:
            self.lease.slot.set(self.lease.budget.taken)
        self.hold()

    # -- receive windows (rule 4) -----------------------------------------------------------

    def hold(self) -> None:
        """Keep them within what is left, when that has changed by enough."""
        if self.left is not None:
            room = self._room()
            if not self._hold_below < room <= self._hold_above:
                self._hold(room)

    def join(self, flow: Metered) -> None:
        """One flow more: it gets its share, the others less when that makes a difference."""
        self.stirred = True
        self.flows.add(flow)
        room = self._room()
        if room > NEAR:
            return
        if 5 * self._share_of(room) < 4 * self._share or self._share == FREE:
            self._hold(room)
        else:
            flow.window(self._share)

    def first_window(self) -> int:
        """What the SYN of one flow more may offer."""
        room = self._room()
        return room // (2 * max(self.crowd, len(self.flows) + 1)) if room <= NEAR else FREE

    def _room(self) -> int:
        beyond = self.beyond
        return FREE if beyond is None else beyond + self.budget.left

    def _promised(self) -> int:
        """Bytes that servers may send, or have sent, by the windows that were offered them."""
        total = 0
        for flow in self.flows:
            down, wire = flow.meter.down, flow.wire()
            window = 0 if self._share == FREE else self._share
            arrived = wire.received if wire else down
            taken = min(arrived, down + window // 2)  # out of the window, on its way
            edge = max(self._edges.get(flow, 0), arrived, taken + window)
            self._edges[flow] = edge
            total += edge - down
        return total

    def _share_of(self, room: int) -> int:
        return room // (2 * max(self.crowd, len(self.flows)))

    def _hold(self, room: int) -> None:
        near = room <= NEAR
        free = max(0, room - self._promised()) if near else 0
        share = self._share_of(free) if near else FREE
        if not near and self._share == FREE:
            return
        self._share = share
        self._hold_below = room - max(HOLD_STEP, free // 5) if near else NEAR
        self._hold_above = 4 * room // 3 if near else FREE
        for flow in self.flows:
            flow.window(share)

    # -- what was moved ---------------------------------------------------------------------

    def collect(self, *, everything: bool = False) -> None:
        """Add what the flows moved since the last time to the lease's parts.

        ``everything`` counts bytes as sent that still lie in buffers, for a lease that closes.
        """
        if self.lease:
            for flow in self.flows:
                self._post(flow, None if everything else flow.wire(), hold=not everything)

    def _post(self, flow: Metered, wire: WireState | None, *, hold: bool) -> None:
        meter = flow.meter
        if self.lease is None or (hold and not (meter.named or meter.down)):
            return  # the name is in the next bytes
        new = meter.post(wire)
        if new.up or new.down or new.overhead:
            part = self.lease.parts[meter.name]
            part.up += new.up
            part.down += new.down
            part.overhead += new.overhead

    def spend_rest(self, name: str | None) -> None:
        """What is left is too little for a single packet: it counts as used, or the budget would
        never be empty and nobody would ask for more."""
        if self.lease and (rest := self.budget.take(self.budget.left)):
            self.lease.parts[name].down += rest
            self.moved()

    def end(self, flow: Metered, wire: WireState | None) -> None:
        """A flow is over: its rest goes to the present lease, opened for it if there is none."""
        if self.lease is None:
            self._opener(self)
        flow.meter.end(wire)
        self._post(flow, None, hold=False)
        self.flows.discard(flow)
        self._edges.pop(flow, None)
        self.moved()

    def rotate(self) -> None:
        """Close the present lease with all that was taken."""
        if self.lease is None:
            return
        self.collect(everything=True)
        self.lease.budget.revoked = True
        self.closing.append(self.lease)
        self.lease, self.budget = None, self._nothing

    def cut(self) -> int:
        """End all flows; returns how many were alive."""
        return sum(flow.cut() for flow in list(self.flows))

    def leases(self) -> Iterable[tuple[Lease, bool]]:
        """Leases that may have something to settle, and whether for the last time."""
        yield from ((lease, True) for lease in self.closing)
        if self.lease:
            yield self.lease, False
