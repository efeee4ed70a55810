"""When the plan runs out, and what a day may take: from the last hours, with the day's rhythm.

Rules
1. The past is bytes by whole hours. Each hour of the day is expected to bring the mean of what it
   has brought; an hour of the day that was never seen, the mean of all.
2. Less than ``ENOUGH_H`` hours of data is no forecast, and says so.
3. Days differ, those that were seen and those to come: the range is what eight to nine of ten
   ends lie in (a prediction interval of the mean of the days ahead, by Student's t), at least
   ``LEAST`` to both sides and at most ``MOST``; with less than two whole days it is ``WIDE``. It is
   as wide as people are irregular: no model foresees the evening of the film.
4. A plan that lasts until it expires has no end; so has one that nobody uses.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

HOUR_S = 3_600
DAY_H = 24
ENOUGH_H = 6
LEAST, WIDE, MOST = 0.1, 0.5, 0.9
_T90 = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83)
"""Student's t for a two-sided 90 % and 1, 2, … degrees of freedom."""
FARTHEST_D = 3 * 366


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Expected bytes of each hour of the day (UTC), from so many whole days; ``deviation``: how
    far one day lies from another, in parts of their mean."""

    hours: tuple[float, ...]
    days: int = 0
    deviation: float | None = None

    @property
    def daily(self) -> float:
        """Bytes a day."""
        return math.fsum(self.hours)

    def error(self, ahead: float) -> float:
        """Rule 3: of the volume of the next ``ahead`` days, in parts of it."""
        if self.deviation is None:
            return WIDE
        t = _T90[min(self.days, len(_T90) + 1) - 2]
        spread = self.deviation * math.sqrt(1 / self.days + 1 / max(1.0, ahead))
        return min(MOST, max(LEAST, t * spread))

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
    return Rhythm(expected, *_variation([past.get(at, 0) for at in hours]))


def _variation(volumes: list[int]) -> tuple[int, float | None]:
    """How many whole days there are, and how far they lie apart."""
    days = len(volumes) // DAY_H
    whole = volumes[len(volumes) - days * DAY_H :]
    totals = [sum(whole[day * DAY_H : (day + 1) * DAY_H]) for day in range(days)]
    if days < 2 or not sum(totals):
        return days, None
    return days, statistics.stdev(totals) / statistics.fmean(totals)


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
    at = found.exhausted(remaining, now)
    error = found.error((at - now) / (DAY_H * HOUR_S) if at is not None else math.inf)
    ends = [at, *(found.exhausted(remaining, now, pace) for pace in (1 + error, 1 - error))]
    at, earliest, latest = [_before(end, expires_at) for end in ends]
    return Forecast(True, seen, daily, at, earliest, latest, per_day, person)


def _before(end: int | None, expires_at: int | None) -> int | None:
    """Rule 4."""
    return None if end is None or (expires_at is not None and end >= expires_at) else end


def _per_day(remaining: int | None, expires_at: int | None, now: int) -> int | None:
    if remaining is None or expires_at is None or expires_at <= now:
        return None
    return min(remaining, remaining * DAY_H * HOUR_S // (expires_at - now))
