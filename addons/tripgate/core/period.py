"""When periods begin and end, in the plan's own time zone.

Rules
1. A day begins at the first instant of its local date. Where daylight saving skips midnight the
   day begins at the first instant after the gap; where midnight happens twice, at the first one.
2. A week begins on Monday. A month begins on the plan's billing day, on the month's last day where
   it has no such day.
3. A plan whose days are 24-hour windows counts days (and weeks, of seven such) from its start. The
   first one takes in what was counted while the plan waited for its first use.
4. ``trip`` lasts from the plan's start to its end; without a plan, for ever. A plan that begins
   with its first use counts from when it was set. ``once`` begins when its cap was made and never
   ends.
5. Periods turn by the clock, never by an edit of the zone: the day (week, month) of the edit began
   when it did before, and ends as the new zone says. So no edit gives a cap a fresh start.
6. Instants are UTC epoch seconds; a start is the last one at or before ``now``.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tripgate.core.model import Period, Plan

DAY_S = 86_400
NO_PLAN = Plan()

BY_BOOK = frozenset({Period.TRIP, Period.ONCE})
"""Periods that begin when the settings say, trusted clock or not."""

_PERIODS = (Period.DAY, Period.WEEK, Period.MONTH)


def starts(plan: Plan | None, now: int) -> Mapping[Period, int]:
    """When the present day, week, month and trip began."""
    plan = plan or NO_PLAN
    found = {period: _bounds(period, plan, now)[0] for period in _PERIODS}
    return {**found, Period.TRIP: plan.counted_from}


def ends(period: Period, plan: Plan | None, now: int) -> int | None:
    """When the present period ends; ``None``: it does not."""
    plan = plan or NO_PLAN
    if period in _PERIODS:
        return _bounds(period, plan, now)[1]
    return plan.expires_at if period is Period.TRIP else None


def carry(before: Plan | None, after: Plan, now: int) -> Plan:
    """``after`` takes the place of ``before`` at ``now`` (rule 5)."""
    before = before or NO_PLAN
    if before.tz == after.tz:
        return replace(after, carried=before.carried)
    day, week, month = (starts(before, now)[period] for period in _PERIODS)
    return replace(after, carried=(now, day, week, month))


def _bounds(period: Period, plan: Plan, now: int) -> tuple[int, int]:
    """Rule 5, around :func:`_bounds_in_zone`; windows of 24 hours know no zone."""
    if plan.carried is not None and (plan.day != "24h" or period is Period.MONTH):
        at, *began = plan.carried
        begun, end = began[_PERIODS.index(period)], _bounds_in_zone(period, plan, at)[1]
        if begun <= now < end:
            return begun, end
    return _bounds_in_zone(period, plan, now)


def _bounds_in_zone(period: Period, plan: Plan, now: int) -> tuple[int, int]:
    known = plan.starts_at is not None or plan.counts_from is not None
    if plan.day == "24h" and known and period is not Period.MONTH:
        return _window(plan, DAY_S if period is Period.DAY else 7 * DAY_S, now)
    zone = ZoneInfo(plan.tz)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    first = _first_day(period, today, plan.billing_day)
    begun = midnight(first, zone)
    if begun > now:  # clocks went back over midnight: the new date's first hour came early
        first = _first_day(period, first - timedelta(days=1), plan.billing_day)
        begun = midnight(first, zone)
    return begun, midnight(_next_first_day(period, first, plan.billing_day), zone)


def _window(plan: Plan, length: int, now: int) -> tuple[int, int]:
    """Rule 3; while the plan waits the window would begin now."""
    first = now if plan.starts_at is None else plan.starts_at
    counted = plan.counted_from
    if counted <= now < first + length:
        return counted, first + length
    begun = first + (now - first) // length * length
    return begun, min(begun + length, counted) if begun < counted else begun + length


def midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local date."""
    naive = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - local
    early = naive.replace(tzinfo=zone, fold=0)
    begun = int(early.timestamp())
    if datetime.fromtimestamp(begun, UTC).astimezone(zone).replace(tzinfo=None) == naive:
        return begun
    # Midnight was skipped. fold=0 reads it with the offset before the gap, fold=1 with the one
    # after it: the gap's end lies between, and is where the offset changes.
    low, high = sorted((begun, int(naive.replace(tzinfo=zone, fold=1).timestamp())))
    return _first_of(day, zone, low - 1, high + 1)


def _first_of(day: date, zone: ZoneInfo, low: int, high: int) -> int:
    """Bisect for the first second whose local date is ``day`` (or later)."""
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, UTC).astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle
    return high


def _first_day(period: Period, today: date, billing_day: int) -> date:
    if period is Period.DAY:
        return today
    if period is Period.WEEK:
        return today - timedelta(days=today.weekday())
    this = _billing(today.year, today.month, billing_day)
    if this <= today:
        return this
    before = today.replace(day=1) - timedelta(days=1)
    return _billing(before.year, before.month, billing_day)


def _next_first_day(period: Period, first: date, billing_day: int) -> date:
    if period is Period.DAY:
        return first + timedelta(days=1)
    if period is Period.WEEK:
        return first + timedelta(days=7)
    after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    return _billing(after.year, after.month, billing_day)


def _billing(year: int, month: int, billing_day: int) -> date:
    last = ((date(year, month, 1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)).day
    return date(year, month, min(billing_day, last))
