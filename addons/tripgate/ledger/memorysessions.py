"""Rule 8 of ``lua/common.lua`` once more, in Python: what a plan's seller bills.

``Sessions`` keeps what the hash ``sessions`` holds: by plan the uplink of its last session, by plan
and uplink the session and how far it is paid ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tripgate.core.model import Kind, Period, Session, Target

MOST = 64

Place = tuple[Target, Period]


@dataclass(frozen=True, slots=True)
class Paid:
    """A session, the trip it is of, and the bytes that are billed and have not moved."""

    session: Session
    trip: int
    ahead: int = 0


@dataclass(slots=True)
class Sessions:
    """Of all plans."""

    last: dict[Target, str] = field(default_factory=dict)
    paid: dict[tuple[Target, str], Paid] = field(default_factory=dict)
    _touched: set[tuple[Target, str]] = field(default_factory=set)
    _changed: bool = False

    def left(self, at: Mapping[Place, int], target: Target, asked: Session, unused: int) -> int:
        """What ``unused`` bytes of a limit leave to the session: whole steps, and what is paid."""
        found, _ = self._find(target, asked, at.get((target, Period.TRIP), 0))
        step = found.session.step if found else 1
        return unused // step * step + (found.ahead if found else 0)

    def bill(self, at: Mapping[Place, int], asked: Session | None, new: int) -> dict[Target, int]:
        """What the ``new`` bytes of a lease that stands at ``at`` are billed as, by plan."""
        plans = {target for target, _ in at if target.kind is Kind.PLAN and new}
        trips = {target: at.get((target, Period.TRIP), 0) for target in plans}
        return {target: self._bill(target, asked, trips[target], new) for target in plans}

    @property
    def size(self) -> int:
        return len(self.last) + len(self.paid)

    def end_call(self, before: int) -> None:
        """Keep the bound; ``before``: the size at the beginning of the call."""
        if self._changed and before > MOST:
            self.paid = {key: self.paid[key] for key in self._touched}
            self.last = {target: self.last[target] for target, _ in self._touched}
        self._touched.clear()
        self._changed = False

    def _bill(self, target: Target, asked: Session | None, trip: int, new: int) -> int:
        found, late = self._find(target, asked, trip)
        if found is None:
            return new
        over = max(0, new - found.ahead)
        bill = -(-over // found.session.step) * found.session.step
        if not late:
            self._remember(target, Paid(found.session, trip, found.ahead + bill - new))
        return bill

    def _find(self, target: Target, asked: Session | None, trip: int) -> tuple[Paid | None, bool]:
        """The session, and whether its trip is an earlier one than is known."""
        uplink = asked.uplink if asked else self.last.get(target, "")
        known = self.paid.get((target, uplink))
        session = asked or (known.session if known else None)
        if session is None:
            return None, False
        same = known is not None and (known.session.id, known.trip) == (session.id, trip)
        late = known is not None and trip < known.trip
        return Paid(session, trip, known.ahead if known and same else 0), late

    def _remember(self, target: Target, paid: Paid) -> None:
        uplink = paid.session.uplink
        known = self.last.get(target), self.paid.get((target, uplink))
        self._changed |= known != (uplink, paid)
        self._touched.add((target, uplink))
        self.last[target] = uplink
        self.paid[target, uplink] = paid
