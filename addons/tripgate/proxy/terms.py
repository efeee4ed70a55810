"""The terms on which bytes move now: whose plan pays, in which session, since when periods run.

Rules
1. Periods follow the clock while it is trusted; untrusted, they stand as of when it last was.
2. An uplink's own plan has periods of its own, for itself alone.
3. While the uplink costs nothing a grant goes through no counter (:mod:`tripgate.core.uplinks`).
"""

from collections.abc import Collection, Mapping
from enum import Enum

from tripgate.clock import Clock
from tripgate.core import limits, period, planbook
from tripgate.core.book import Book
from tripgate.core.model import PLAN, Kind, Limit, Period, Session, Target
from tripgate.proxy.judge import Judge
from tripgate.proxy.shared import gone


class Change(Enum):
    """What a look at clock and uplink has found."""

    NOTHING = 0
    LIMITS = 1
    SESSION = 2


class Terms:
    """See the rules above. ``starts``: of the periods of devices, people and the plan."""

    def __init__(self, clock: Clock, judge: Judge) -> None:
        self.starts: Mapping[Period, int] = {}
        self._of_uplink: Mapping[Period, int] | None = None
        self._clock = clock
        self._judge = judge
        self._trusted_at = 0
        self._pays: tuple[bool, Target | None] = False, PLAN
        self._session: Session | None = None

    def follow(self, book: Book, *, force: bool) -> Change:
        """Look anew; ``force``: also at periods that the book begins, whatever the clock."""
        pays, session = (self._judge.unmetered, self._judge.pays), self._judge.session
        changed = Change.LIMITS if pays != self._pays else Change.NOTHING
        if session != self._session:
            changed = Change.SESSION
        of_uplink = self._of_uplink
        if force or changed is not Change.NOTHING or self._clock.trusted():
            of_uplink = self._uplinks_starts(book)
        starts = self.starts
        if force or not starts or self._clock.trusted():
            starts = period.starts(book.plan, self._now())
        if (starts, of_uplink) != (self.starts, self._of_uplink) or limits.tallied(book):
            changed = max(changed, Change.LIMITS, key=lambda one: one.value)
        self.starts, self._of_uplink = starts, of_uplink
        self._pays, self._session = pays, session
        return changed

    def limits(self, book: Book, device_id: str) -> tuple[Limit, ...]:
        """Every counter that a grant for the device goes through now."""
        if self._judge.unmetered:
            return ()
        now = int(self._clock.wall()) if self._clock.trusted() else None
        device = book.devices.get(device_id) or gone(device_id)
        pays, own = self._judge.pays, self._of_uplink
        return limits.limits_for(book, device, self.starts, now, pays=pays, plan_starts=own)

    def session(self, counted: Collection[Limit]) -> Session | None:
        """Whose a lease's bytes are; ``None`` where they are of another plan than the present."""
        plans = {limit.target for limit in counted if limit.target.kind is Kind.PLAN}
        return self._judge.session if self._judge.pays in plans else None

    def _uplinks_starts(self, book: Book) -> Mapping[Period, int] | None:
        """Rule 2; ``None`` while no uplink's own plan pays."""
        pays = self._judge.pays
        if pays is None or pays == PLAN:
            return None
        return period.starts(planbook.in_force(book)[pays], self._now())

    def _now(self) -> int:
        """Rule 1, in epoch seconds."""
        if self._clock.trusted() or not self._trusted_at:
            now = int(self._clock.wall())
            self._trusted_at = now if self._clock.trusted() else 0
            return now
        return self._trusted_at
