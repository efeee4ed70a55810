"""The rules of ``lua/`` once more, in Python: what a ledger in memory keeps and how it changes.

The numbered rules are those of ``common.lua``, ``grant.lua`` and ``settle.lua``; the contract tests
hold both to them. Nothing here survives the process: it is for tests.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tripgate.core.book import EMPTY, Book
from tripgate.core.model import Kind, Limit, Period, Session, Target
from tripgate.core.period import BY_BOOK
from tripgate.core.usage import Increment
from tripgate.ledger.memorysessions import Sessions
from tripgate.ledger.protocol import AuditEntry, Grant, GrantRequest, Settlement

FINAL = 65536
KEPT_S, GAP_S, PURGE, SEEN = 600, 5, 100, 400
AUDIT = 10_000

Place = tuple[Target, Period]


@dataclass(slots=True)
class Count:
    """A target in one period."""

    start: int
    guess: int | None = None
    used: int = 0
    reserved: int = 0

    def reserve(self, volume: int) -> None:
        """Rule 6 of ``common.lua``."""
        self.reserved = max(0, self.reserved + volume)


@dataclass(slots=True)
class Lease:
    """A lease and the counters it stands in, with the start of each."""

    granted: int = 0
    settled: int = 0
    open: bool = True
    device: str = ""
    at: dict[Place, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return max(0, self.granted - self.settled) if self.open else 0


@dataclass(slots=True)
class Owner:
    """The live instance of a gateway; ``contact`` is its clock of contact, in seconds."""

    instance: str
    heard: int
    contact: int = 0


@dataclass
class MemoryStore:
    """What one Redis would hold. ``down``: why it does not answer, if it does not."""

    schema: int = 0
    version: int = 0
    book: Book = EMPTY
    counts: dict[Place, Count] = field(default_factory=dict)
    life: dict[Target, int] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    closed: dict[str, dict[str, int]] = field(default_factory=dict)
    buckets: dict[str, dict[str, int]] = field(default_factory=dict)
    expires: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)
    edits: deque[AuditEntry] = field(default_factory=lambda: deque(maxlen=AUDIT))
    down: str | None = None

    def heir(self, device: str) -> str:
        """Rule 7 of ``common.lua``; the device itself where it is not gone."""
        return self.folded.get(device, device)

    def renamed(self, target: Target) -> Target:
        """Whose counter it is now."""
        known = target.kind is Kind.DEVICE and target.key in self.folded
        return Target(target.kind, self.folded[target.key]) if known else target

    # -- counters (common.lua) --------------------------------------------------------------

    def turn(self, limit: Limit, *, trusted: bool) -> int:
        """Rule 3; the start that counts."""
        place = (limit.target, limit.period)
        count = self.counts.get(place)
        trusted = trusted or limit.period in BY_BOOK
        if count is None or (trusted and limit.start > count.start):
            guessed = count is not None and count.guess == limit.start
            held = self._held_since_guess(place, limit.start) if guessed else 0
            guess = None if trusted else limit.start
            self.counts[place] = Count(limit.start, guess, reserved=held)
            return limit.start
        if trusted and count.guess == count.start:
            if limit.start == count.start:
                count.guess = None
            count.start = limit.start
        return count.start

    def _held_since_guess(self, place: Place, start: int) -> int:
        return sum(one.held for one in self.leases.values() if one.at.get(place) == start)

    def standing(self, at: Mapping[Place, int]) -> Iterator[tuple[Place, Count]]:
        """Rule 4: the places that still count."""
        for place, start in at.items():
            count = self.counts[place]
            if start in (count.start, count.guess):
                yield place, count

    def post(
        self, lease: Lease, reserved: int, used: int, bills: Mapping[Target, int] | None = None
    ) -> None:
        """Add to every counter that the lease stands in; ``bills``: rule 8."""
        for (target, _), count in self.standing(lease.at):
            count.reserve(reserved)
            count.used += (bills or {}).get(target, used)

    # -- grant.lua --------------------------------------------------------------------------

    def grant(self, request: GrantRequest) -> Grant:
        """Rules 2 to 8; who asks and what for was checked."""
        known = self.leases.get(request.lease)
        lease = known or Lease()
        if not lease.open:
            return Grant(request.have, left=0)
        lease.device = request.device
        self._join(lease, request)
        if known or lease.granted:
            self.leases[request.lease] = lease
        limited = [limit for limit in request.limits if limit.limit is not None]
        hard = [limit for limit in limited if not limit.soft]
        left = partial(self._left, at=lease.at, session=request.session)
        tightest = min(hard, key=left, default=None)
        reached = tuple(limit for limit in limited if limit.soft and left(limit) <= 0)
        if lease.granted > request.have:
            return self._granted(lease, tightest, reached, left)
        if tightest and left(tightest) <= 0:
            return replace(self._granted(lease, tightest, reached, left), final=False)
        offering = [limit for limit in limited if limit not in reached]
        self._raise(lease, request, offering)
        if lease.granted:
            self.leases[request.lease] = lease
        return self._granted(lease, tightest, reached, left)

    def _granted(
        self,
        lease: Lease,
        tightest: Limit | None,
        reached: tuple[Limit, ...],
        left_of: Callable[[Limit], int],
    ) -> Grant:
        if tightest is None:
            return Grant(lease.granted, reached=reached)
        left = max(0, left_of(tightest))
        used = self.counts[tightest.target, tightest.period].used
        return Grant(lease.granted, left == 0, left, tightest, used, reached=reached)

    def _raise(self, lease: Lease, request: GrantRequest, limited: Iterable[Limit]) -> None:
        """Rules 4 to 7."""
        over = max(0, lease.settled - lease.granted)
        slice_ = max(0, request.want - over)
        offers = [self._offer(limit, request, lease.at) for limit in limited]
        if offers:
            offer, small = min(offers, key=lambda offer: offer[0])
            slice_ = offer if small else min(slice_, offer)
        lease.granted += (over if slice_ else min(request.want, over)) + slice_
        self.post(lease, slice_, 0)

    def _join(self, lease: Lease, request: GrantRequest) -> None:
        before = lease.held
        lease.granted = max(lease.granted, request.have)
        self.post(lease, lease.held - before, 0)
        at: dict[Place, int] = {}
        for limit in request.limits:
            place = (limit.target, limit.period)
            start = self.turn(limit, trusted=request.trusted)
            stood = place in lease.at and any(self.standing({place: lease.at[place]}))
            if place not in at and not stood:
                self.counts[place].reserve(lease.held)
            at[place] = start
        for place, count in self.standing(lease.at):
            if place not in at:
                count.reserve(-lease.held)
        lease.at = at

    def _left(self, limit: Limit, at: Mapping[Place, int], session: Session | None) -> int:
        """Rules 4 and 8."""
        assert limit.limit is not None
        count = self.counts[limit.target, limit.period]
        left = limit.limit - count.used
        if session and limit.target.kind is Kind.PLAN:
            left = self.sessions.left(at, limit.target, session, left)
        return left - count.reserved

    def _offer(
        self, limit: Limit, request: GrantRequest, at: Mapping[Place, int]
    ) -> tuple[int, bool]:
        """What a counter offers, and whether that is a final unit."""
        left, among = self._left(limit, at, request.session), request.share.get(limit.target, 1)
        if left <= FINAL or among <= 1:
            return left, left <= FINAL and not limit.soft
        return max(1, left // (2 * among)), False

    # -- settle.lua -------------------------------------------------------------------------

    def settle(self, rows: Iterable[Settlement], now: int) -> tuple[int, ...]:
        """Rules 1 to 7: the new bytes of each row."""
        fresh, counted, sessions = [], [], self.sessions.size
        for row in rows:
            fresh.append(new := self._settle(row))
            counted += _spread(row, new)
        self.sessions.end_call(sessions)
        self._collect(counted, now)
        return tuple(fresh)

    def _settle(self, row: Settlement) -> int:
        lease = self.leases.get(row.lease)
        if lease is None:
            lease = self.leases[row.lease] = Lease(device=row.device)
            for asked in row.limits:
                limit = replace(asked, target=self.renamed(asked.target))
                current = self.turn(limit, trusted=row.trusted)
                lease.at[limit.target, limit.period] = min(limit.start, current)
        lease.device = self.folded.get(row.device, lease.device)
        before, was_open = lease.held, lease.open
        new = max(0, row.used - lease.settled)
        lease.granted = max(lease.granted, row.granted)
        lease.settled += new
        if was_open and row.final:
            self._close(row.lease, lease)
        bills = self.sessions.bill(lease.at, row.session, new)
        self.post(lease, lease.held - before, new, bills)
        for target in {target for target, _ in lease.at}:
            self.life[target] = self.life.get(target, 0) + bills.get(target, new)
        return new

    def _close(self, lease_id: str, lease: Lease) -> None:
        gateway = lease_id.partition(":")[0]
        owner = self.owners.get(gateway)
        lease.open = False
        self.closed.setdefault(gateway, {})[lease_id] = owner.contact if owner else 0

    def _collect(self, counted: Sequence[tuple[Increment, int]], now: int) -> None:
        """Rule 6."""
        most: dict[str, int] = {}
        counted = [(replace(one, bucket=self._bucket(one.bucket)), n) for one, n in counted]
        for one, _ in counted:
            most[one.bucket] = max(most.get(one.bucket, 0), one.most or 0)
        for one, amount in counted:
            bucket = self.buckets.get(one.bucket)
            if bucket is None:
                bucket = self.buckets[one.bucket] = {}
                if one.ttl:
                    self.expires[one.bucket] = now + one.ttl
            name, full = one.field, 0 < most[one.bucket] <= len(bucket)
            if full and name not in bucket and name.endswith(("|u", "|d")):
                name = "other" + name[-2:]
            bucket[name] = bucket.get(name, 0) + amount

    def _bucket(self, name: str) -> str:
        kind, device, rest = name.split(":", 2)
        return f"{kind}:{self.heir(device)}:{rest}"

    def contact(self, gateway: str, instance: str, now: int) -> None:
        """Rule 8, before the rows: the heartbeat moves the clock of contact."""
        owner = self.owners.get(gateway)
        if owner and owner.instance == instance:
            owner.contact += max(0, min(GAP_S, now - owner.heard))
            owner.heard = now

    def purge(self, gateway: str, instance: str, used: set[str], now: int) -> None:
        """Rule 3 of ``settle.lua``, and what else has outlived its time."""
        owner = self.owners.get(gateway)
        if owner and owner.instance == instance:
            closed = self.closed.get(gateway, {})
            old = sorted((at, key) for key, at in closed.items() if at < owner.contact - KEPT_S)
            for _, key in old[:PURGE]:
                if key not in used:
                    del closed[key], self.leases[key]
        for name in [name for name, at in self.expires.items() if at <= now]:
            del self.expires[name]
            self.buckets.pop(name, None)
        newest = sorted(self.seen, key=lambda device: (-self.seen[device], device))
        for device in newest[SEEN:]:
            del self.seen[device]


def _spread(row: Settlement, new: int) -> list[tuple[Increment, int]]:
    """Rule 5: the increments that ``new`` bytes of a row make, and by how much."""
    if not new:
        return []
    if new < row.parts:
        return [(one, new) for one in row.rest]
    missing = [(one, new - row.parts) for one in row.rest] if new > row.parts else []
    return [*((one, one.amount) for one in row.increments), *missing]
