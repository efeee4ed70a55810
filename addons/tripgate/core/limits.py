"""From the book to the limits of a grant, and from counters to caps that people read.

Rules
1. A device counts in its own scope, its person's and the plan's, in every period, whether there is
   a cap or not: a cap that is set later knows what was used before. ``once`` counts from its cap.
2. The plan's volume is a limit on the plan's ``trip``; with a cap there too the smaller holds.
"""

from collections.abc import Collection, Mapping

from tripgate.core import period as periods
from tripgate.core.book import Book
from tripgate.core.model import (
    PLAN,
    CapState,
    Counter,
    Device,
    Kind,
    Limit,
    Period,
    Target,
    device_target,
    person_target,
)

_STANDING = (Period.DAY, Period.WEEK, Period.MONTH, Period.TRIP)


def targets_of(device: Device) -> tuple[Target, ...]:
    """The scopes that a device's bytes count in."""
    person = (person_target(device.person),) if device.person else ()
    return (device_target(device.id), *person, PLAN)


def limits_for(book: Book, device: Device, starts: Mapping[Period, int]) -> tuple[Limit, ...]:
    """Every counter that a grant for ``device`` goes through."""
    made: list[Limit] = []
    for target in targets_of(device):
        made += [
            Limit(target, period, starts[period], _limit(book, target, period))
            for period in _STANDING
        ]
        once = book.caps.get((target, Period.ONCE))
        if once:
            made.append(Limit(target, Period.ONCE, once.created_at, once.limit))
    return tuple(made)


def _limit(book: Book, target: Target, period: Period) -> int | None:
    cap = book.caps.get((target, period))
    known = [cap.limit] if cap else []
    if target == PLAN and period is Period.TRIP and book.plan and book.plan.volume is not None:
        known.append(book.plan.volume)
    return min(known, default=None)


def shares(book: Book, device: Device, active: Collection[str]) -> Mapping[Target, int]:
    """How many active devices draw on each scope of ``device``; at least itself."""
    others = [book.devices[other] for other in active if other in book.devices]
    counts = dict.fromkeys(targets_of(device), 0)
    for other in {one.id: one for one in (*others, device)}.values():
        for target in targets_of(other):
            if target in counts:
                counts[target] += 1
    return counts


def cap_states(
    book: Book,
    counters: Mapping[tuple[Target, Period], Counter],
    starts: Mapping[Period, int],
    trusted: bool,
) -> list[CapState]:
    """Every cap with its use, in the order of targets and periods."""
    states = []
    for (target, period), cap in sorted(book.caps.items(), key=lambda item: _order(*item[0])):
        start = cap.created_at if period is Period.ONCE else starts[period]
        counter = current(counters.get((target, period)), start, trusted=trusted)
        resets_at = periods.ends(period, book.plan, starts[Period.DAY])
        states.append(CapState(cap, counter.used, counter.reserved, resets_at))
    return states


def current(counter: Counter | None, start: int, *, trusted: bool) -> Counter:
    """The counter as it stands in the period that began at ``start``."""
    if counter is None or (trusted and counter.start < start):
        return Counter(start, 0)
    return counter


def _order(target: Target, period: Period) -> tuple[int, str, int]:
    return list(Kind).index(target.kind), target.key, list(Period).index(period)
