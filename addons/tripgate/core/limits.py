"""From the book to the limits of a grant, and from counters to caps that people read.

Rules
1. A device counts in its own scope, its person's and the plan's, in every period, whether there is
   a cap or not: a cap that is set later knows what was used before. ``once`` counts from its cap.
2. The plan's volume is a limit on the plan's ``trip``, beside a cap there. An uplink's own plan
   stands in its place while it pays (:mod:`tripgate.core.planbook`), in periods of its own.
3. Credits of a target raise (or lower) all its limits in the period that they were given in,
   until the cap there is set anew.
4. A cap with hours that do not count has a counter of its own (:func:`counted`), which stands
   still in these hours: the target's usual counter goes on.
5. A cap of days that roll is one limit on all that was used since the cap was made
   (:func:`rolled`): a day's volume for each day that has begun. What a day leaves, the next has.
6. On an uplink that costs nothing a grant goes through no counter at all
   (:mod:`tripgate.core.uplinks`); the caller sees to that.
"""

from collections.abc import Collection, Mapping
from zoneinfo import ZoneInfo

from tripgate.core import period as periods
from tripgate.core.book import Book
from tripgate.core.model import (
    PLAN,
    Cap,
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
from tripgate.core.planbook import in_force
from tripgate.core.policy import in_window

_SLACK_S = 2 * 3600
_COUNTED, _ROLLED = "~counted", "~rolled"
_STANDING = (Period.DAY, Period.WEEK, Period.MONTH, Period.TRIP)


def targets_of(device: Device) -> tuple[Target, ...]:
    """The scopes that a device's bytes count in."""
    person = (person_target(device.person),) if device.person else ()
    return (device_target(device.id), *person, PLAN)


def limits_for(
    book: Book,
    device: Device,
    starts: Mapping[Period, int],
    now: int | None = 0,
    *,
    pays: Target | None = PLAN,
    plan_starts: Mapping[Period, int] | None = None,
) -> tuple[Limit, ...]:
    """Every counter that a grant for ``device`` goes through at ``now``.

    ``pays``: the plan in force, ``None``: none is; ``plan_starts``: its periods, if they are others
    than those of devices and people.

    ``now`` is ``None`` while the clock is not trusted: then no hour is free, no day has rolled and
    no gift is known to be recent.
    """
    made: list[Limit] = []
    for target in (*targets_of(device)[:-1], pays):
        if target is None:
            continue
        began = starts if target != pays or plan_starts is None else plan_starts
        for period in _STANDING:
            made += _limits(book, target, period, began[period], now)
        once = book.caps.get((target, Period.ONCE))
        if once:
            made += _limits(book, target, Period.ONCE, once.created_at, now)
    return tuple(made)


def _limits(book: Book, target: Target, period: Period, start: int, now: int | None) -> list[Limit]:
    """The limits on one counter, or the counter alone."""
    made: list[Limit] = []
    given = credit if now is not None else _only_lent
    plan = in_force(book).get(target)
    if period is Period.TRIP and plan and plan.volume is not None:
        volume = max(0, plan.volume + given(book, target, start))
        made.append(Limit(target, period, start, volume))
    if cap := book.caps.get((target, period)):
        limit = max(0, cap.limit + given(book, target, start, period))
        if cap.roll:
            days = _days(book, cap, start) if now is not None else 1
            volume = max(0, cap.limit * days + given(book, target, cap.created_at, period))
            made.append(Limit(rolled(target), Period.ONCE, cap.created_at, volume, cap.soft))
        elif cap.free is None:
            made.append(Limit(target, period, start, limit, cap.soft))
        elif now is None or not in_window(cap.free, now, ZoneInfo(_zone(book))):
            made.append(Limit(counted(target), period, start, limit, cap.soft))
    if not any(limit.target == target for limit in made):
        made.append(Limit(target, period, start))
    return made


def credit(book: Book, target: Target, start: int, period: Period | None = None) -> int:
    """Bytes that were given to the target since ``start``, less what it lent.

    ``period``: of its cap there; ``None``: of the plan's own volume.
    """
    return sum(
        one.volume
        for one in book.credits
        if one.target == target and one.at >= start and period not in one.replaced
    )


def _only_lent(book: Book, target: Target, start: int, period: Period | None = None) -> int:
    return min(0, credit(book, target, start, period))


def counted(target: Target) -> Target:
    """Whose counter stands still in the hours that do not count."""
    return Target(target.kind, f"{target.key}{_COUNTED}")


def rolled(target: Target) -> Target:
    """Whose counter holds all that was used since a rolling cap was made."""
    return Target(target.kind, f"{target.key}{_ROLLED}")


def _days(book: Book, cap: Cap, start: int) -> int:
    """How many days of a rolling cap have begun, of which the present one began at ``start``.

    Days are 23 to 25 hours long where clocks change, an hour more or less is no day; and the day of
    a change of zone is longer, up to two: it is one all the same.
    """
    first = periods.starts(book.plan, cap.created_at)[Period.DAY]
    return max(1, (start - first + _SLACK_S) // periods.DAY_S + 1)


def cap_of(book: Book, limit: Limit) -> Cap | None:
    """The cap that made a limit; ``None``: the plan's own volume."""
    key = limit.target.key
    period = Period.DAY if key.endswith(_ROLLED) else limit.period
    target = Target(limit.target.kind, key.removesuffix(_COUNTED).removesuffix(_ROLLED))
    return book.caps.get((target, period))


def tallied(book: Book) -> list[Target]:
    """The targets of caps with a counter of their own."""
    free = [counted(target) for (target, _), cap in book.caps.items() if cap.free is not None]
    return free + [rolled(target) for (target, _), cap in book.caps.items() if cap.roll]


def _zone(book: Book) -> str:
    return book.plan.tz if book.plan else "UTC"


def shares(book: Book, device: Device, active: Collection[str]) -> Mapping[Target, int]:
    """How many active devices draw on each scope of ``device``; at least itself."""
    others = [book.devices[other] for other in active if other in book.devices]
    counts = dict.fromkeys(targets_of(device), 0)
    for other in {one.id: one for one in (*others, device)}.values():
        for target in targets_of(other):
            if target in counts:
                counts[target] += 1
    counts |= dict.fromkeys(in_force(book), counts[PLAN])
    own = {made(target): n for target, n in counts.items() for made in (counted, rolled)}
    return {**counts, **own}


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
        whose = target if cap.free is None else counted(target)
        sure = trusted or period in periods.BY_BOOK
        counter = current(counters.get((whose, period)), start, trusted=sure)
        resets_at = periods.ends(period, book.plan, starts[Period.DAY])
        gift = given = credit(book, target, start, period)
        if cap.roll:
            whole = counters.get((rolled(target), Period.ONCE), Counter(start, 0))
            gift = credit(book, target, cap.created_at, period)
            allowed = cap.limit * _days(book, cap, start) + gift
            given = allowed - whole.used + counter.used - cap.limit
        states.append(CapState(cap, counter.used, counter.reserved, resets_at, given, gift))
    return states


def current(counter: Counter | None, start: int, *, trusted: bool) -> Counter:
    """The counter as it stands in the period that began at ``start``."""
    if counter is None or (trusted and counter.start < start):
        return Counter(start, 0)
    return counter


def _order(target: Target, period: Period) -> tuple[int, str, int]:
    return list(Kind).index(target.kind), target.key, list(Period).index(period)
