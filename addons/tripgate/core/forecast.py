"""When the plan runs out, and what a day may take: from the last hours, with the day's rhythm.

Rules
1. The past is bytes by whole hours. Each hour of the day is expected to bring the mean of what it
   has brought; an hour of the day that was never seen, the mean of all.
2. Less than ``ENOUGH_H`` hours of data is no forecast, and says so.
3. The range is two standard errors of the daily mean, at least ``LEAST`` to both sides; with less
   than two whole days it is ``WIDE``.
4. A plan that lasts until it expires has no end; so has one that nobody uses.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

HOUR_S = 3_600
DAY_H = 24
ENOUGH_H = 6
LEAST, WIDE = 0.1, 0.5
FARTHEST_D = 3 * 366


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Expected bytes of each hour of the day (UTC), and the relative error of their sum."""

    hours: tuple[float, ...]
    error: float

    @property
    def daily(self) -> float:
        """Bytes a day."""
        return math.fsum(self.hours)

    def expected(self, begin: int, end: int) -> float:
        """Bytes from ``begin`` to ``end`` (epoch seconds)."""
        total, at = 0.0, begin
        days = max(0, end - begin) // (DAY_H * HOUR_S)
        total, at = days * self.daily, begin + days * DAY_H * HOUR_S
        while at < end:
            until = min(end, (at // HOUR_S + 1) * HOUR_S)
            total += self.hours[at // HOUR_S % DAY_H] * (until - at) / HOUR_S
            at = until
        return total

    def exhausted(self, remaining: int, now: int, pace: float = 1.0) -> int | None:
        """When ``remaining`` bytes are used up at ``pace`` times the rhythm; ``None``: not soon."""
        daily = self.daily * pace
        if daily <= 0 or remaining / daily > FARTHEST_D:
            return None
        days = int(remaining / daily)
        left, at = remaining - days * daily, now + days * DAY_H * HOUR_S
        for _ in range(2 * DAY_H):
            until = (at // HOUR_S + 1) * HOUR_S
            rate = self.hours[at // HOUR_S % DAY_H] * pace / HOUR_S
            if rate > 0 and left <= rate * (until - at):
                return at + int(left / rate)
            left, at = left - rate * (until - at), until
        return at


@dataclass(frozen=True, slots=True)
class Forecast:
    """``exhausted_at`` is ``None`` where the plan lasts; ``earliest``/``latest`` are its range.

    ``enough`` is False with less than ``ENOUGH_H`` hours of data: then all else is a guess.
    ``per_day`` and ``per_person`` are bytes a day until the plan expires.
    """

    enough: bool
    hours: int
    daily: int
    exhausted_at: int | None = None
    earliest: int | None = None
    latest: int | None = None
    per_day: int | None = None
    per_person: int | None = None


def rhythm(past: Mapping[int, int], first: int, now: int) -> Rhythm:
    """From bytes by hour (epoch seconds of its beginning) since ``first``; gaps are zeros.

    The hour under way is left out: it is not over.
    """
    hours = range(-(-first // HOUR_S) * HOUR_S, now // HOUR_S * HOUR_S, HOUR_S)
    by_hour: list[list[int]] = [[] for _ in range(DAY_H)]
    for at in hours:
        by_hour[at // HOUR_S % DAY_H].append(past.get(at, 0))
    seen = [volume for volumes in by_hour for volume in volumes]
    mean = statistics.fmean(seen) if seen else 0.0
    expected = tuple(statistics.fmean(one) if one else mean for one in by_hour)
    return Rhythm(expected, _error([past.get(at, 0) for at in hours]))


def _error(volumes: list[int]) -> float:
    """Rule 3."""
    days = len(volumes) // DAY_H
    whole = volumes[len(volumes) - days * DAY_H :]
    totals = [sum(whole[day * DAY_H : (day + 1) * DAY_H]) for day in range(days)]
    if days < 2 or not sum(totals):
        return WIDE
    deviation = statistics.stdev(totals) / math.sqrt(days) / statistics.fmean(totals)
    return min(WIDE, max(LEAST, 2 * deviation))


def forecast(
    past: Mapping[int, int],
    first: int,
    now: int,
    *,
    remaining: int | None,
    expires_at: int | None,
    people: int = 0,
) -> Forecast:
    """``first``: since when there is data. ``remaining`` ``None``: unlimited."""
    seen = max(0, now // HOUR_S - -(-first // HOUR_S))
    found = rhythm(past, first, now)
    daily = int(found.daily)
    per_day = _per_day(remaining, expires_at, now)
    person = per_day // people if per_day is not None and people else None
    if seen < ENOUGH_H or remaining is None:
        return Forecast(seen >= ENOUGH_H, seen, daily, per_day=per_day, per_person=person)
    ends = [found.exhausted(remaining, now, pace) for pace in (1, 1 + found.error, 1 - found.error)]
    at, earliest, latest = [_before(end, expires_at) for end in ends]
    return Forecast(True, seen, daily, at, earliest, latest, per_day, person)


def _before(end: int | None, expires_at: int | None) -> int | None:
    """Rule 4."""
    return None if end is None or (expires_at is not None and end >= expires_at) else end


def _per_day(remaining: int | None, expires_at: int | None, now: int) -> int | None:
    if remaining is None or expires_at is None or expires_at <= now:
        return None
    return min(remaining, remaining * DAY_H * HOUR_S // (expires_at - now))
