"""The forecast: a replayed week within 10 % on the median, honest about what it does not know.

A week of people who differ is no sum of clocks: from Friday morning the rest of it cannot be known
to 10 % by anybody, the week as a whole can; and the range has to say how far off it may be.
"""

import random
import statistics

import pytest

from tripgate.core.forecast import HOUR_S, LEAST, WIDE, Forecast, forecast, rhythm

DAY_S = 24 * HOUR_S
BEGAN = 1_800_000_000 // DAY_S * DAY_S
MB = 1_000_000


def week(seed: int = 1, days: int = 7) -> dict[int, int]:
    """Bytes by hour: quiet nights, busy evenings, every hour off by up to a quarter."""
    dice = random.Random(seed)
    shape = [2] * 7 + [20, 40, 30, 20, 20, 50, 40, 20, 20, 30, 60, 90, 140, 160, 120, 60, 10]
    return {
        BEGAN + hour * HOUR_S: int(shape[hour % 24] * MB * dice.uniform(0.75, 1.25))
        for hour in range(days * 24)
    }


def lived_week(seed: int, people: int = 5) -> dict[int, int]:
    """A week of some people: each has busy days and quiet ones (half a day's use to both sides), no
    hour is like another, weekends bring a third more, and any weekday may be the first."""
    dice = random.Random(seed)
    shape = [
        6,
        3,
        2,
        1,
        1,
        2,
        10,
        30,
        45,
        35,
        30,
        30,
        45,
        40,
        30,
        30,
        35,
        60,
        90,
        130,
        160,
        140,
        80,
        30,
    ]
    found, first = {}, dice.randrange(7)
    for day in range(7):
        busy = sum(_about_one(dice, 0.5) for _ in range(people))
        busy *= 1.3 if (first + day) % 7 >= 5 else 1.0
        for hour, usual in enumerate(shape):
            at = BEGAN + day * DAY_S + hour * HOUR_S
            found[at] = int(usual * MB / 5 * busy * _about_one(dice, 0.8))
    return found


def _about_one(dice: random.Random, spread: float) -> float:
    """A factor whose mean is 1: rarely large, never below zero."""
    return dice.lognormvariate(-spread * spread / 2, spread)


def foreseen(seed: int) -> tuple[float, float, float]:
    """On Friday at nine: the week's total so far, what is expected of the rest, what came of it."""
    came, now = lived_week(seed), BEGAN + 4 * DAY_S + 9 * HOUR_S
    past = {at: volume for at, volume in came.items() if at < now}
    rest = sum(came.values()) - sum(past.values())
    return sum(past.values()), rhythm(past, BEGAN, now).expected(now, BEGAN + 7 * DAY_S), rest


def test_a_lived_week_is_foreseen_within_a_tenth_on_the_median() -> None:
    errors = []
    for seed in range(100):
        used, expected, came = foreseen(seed)
        errors.append(abs(expected - came) / (used + came))
    assert statistics.median(errors) <= 0.1


def test_the_range_holds_what_came_of_eight_weeks_in_ten() -> None:
    now, held = BEGAN + 4 * DAY_S + 9 * HOUR_S, 0
    for seed in range(100):
        past = {at: volume for at, volume in lived_week(seed).items() if at < now}
        _, expected, came = foreseen(seed)
        error = rhythm(past, BEGAN, now).error((BEGAN + 7 * DAY_S - now) / DAY_S)
        held += expected * (1 - error) <= came <= expected * (1 + error)
    assert 80 <= held <= 97


def test_the_range_is_narrower_where_days_are_alike() -> None:
    same = {BEGAN + hour * HOUR_S: MB for hour in range(96)}
    now = BEGAN + 4 * DAY_S
    lived = {at: volume for at, volume in lived_week(1).items() if at < now}
    assert rhythm(same, BEGAN, now).error(3) == LEAST < rhythm(lived, BEGAN, now).error(3)


@pytest.mark.parametrize("hours", [6, 24, 47])
def test_of_less_than_two_days_the_range_is_wide(hours: int) -> None:
    assert rhythm(week(), BEGAN, BEGAN + hours * HOUR_S).error(3) == WIDE


@pytest.mark.parametrize("seed", range(10))
def test_the_rest_of_a_regular_week_comes_within_a_tenth(seed: int) -> None:
    past, now = week(seed), BEGAN + 4 * DAY_S + 9 * HOUR_S
    found = rhythm({at: v for at, v in past.items() if at < now}, BEGAN, now)
    came = sum(volume for at, volume in past.items() if at >= now)
    assert found.expected(now, BEGAN + 7 * DAY_S) == pytest.approx(came, rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_the_end_of_the_plan_is_foreseen_within_a_tenth_of_the_time_left(seed: int) -> None:
    past, now = week(seed), BEGAN + 3 * DAY_S
    used = sum(volume for at, volume in past.items() if at < now)
    volume, total, end = used + 2_500 * MB, 0, 0
    for at in sorted(past):
        total += past[at]
        if total >= volume:
            end = at + HOUR_S
            break
    seen = {at: v for at, v in past.items() if at < now}
    found = forecast(seen, BEGAN, now, remaining=volume - used, expires_at=None)
    assert found.exhausted_at is not None
    assert abs(found.exhausted_at - end) <= 0.1 * (end - now) + HOUR_S
    assert found.earliest is not None
    assert found.latest is not None
    assert found.earliest < found.exhausted_at < found.latest


@pytest.mark.parametrize(("hours", "enough"), [(0, False), (5, False), (6, True)])
def test_less_than_six_hours_of_data_says_so(hours: int, enough: bool) -> None:
    found = forecast(week(), BEGAN, BEGAN + hours * HOUR_S, remaining=100 * MB, expires_at=None)
    assert (found.enough, found.hours) == (enough, hours)
    assert (found.exhausted_at is not None) == enough


def test_a_plan_that_lasts_until_it_expires_has_no_end() -> None:
    now = BEGAN + 2 * DAY_S
    found = forecast(week(), BEGAN, now, remaining=10**12, expires_at=now + DAY_S)
    assert (found.exhausted_at, found.earliest, found.latest) == (None, None, None)


def test_nobody_uses_it_and_it_never_ends() -> None:
    found = forecast({}, BEGAN, BEGAN + DAY_S, remaining=100, expires_at=None)
    assert found == Forecast(True, 24, 0)


def test_unlimited_has_a_pace_and_no_end() -> None:
    found = forecast(week(), BEGAN, BEGAN + DAY_S, remaining=None, expires_at=BEGAN + 9 * DAY_S)
    assert (found.exhausted_at, found.per_day) == (None, None)
    assert found.daily > 0


@pytest.mark.parametrize(
    ("people", "person"), [(0, None), (1, 50 * MB), (4, 50 * MB // 4)], ids=["none", "1", "4"]
)
def test_what_is_left_is_shared_by_days_and_people(people: int, person: int | None) -> None:
    now = BEGAN + DAY_S
    found = forecast(
        week(), BEGAN, now, remaining=100 * MB, expires_at=now + 2 * DAY_S, people=people
    )
    assert (found.per_day, found.per_person) == (50 * MB, person)


def test_on_the_last_day_no_more_than_what_is_left_is_promised() -> None:
    now = BEGAN + DAY_S
    found = forecast(week(), BEGAN, now, remaining=100, expires_at=now + HOUR_S)
    assert found.per_day == 100


def test_the_hour_under_way_is_not_taken_for_a_whole_one() -> None:
    now = BEGAN + 48 * HOUR_S + 60
    past = {BEGAN + hour * HOUR_S: MB for hour in range(49)}
    assert rhythm({**past, BEGAN + 48 * HOUR_S: 1}, BEGAN, now).daily == 24 * MB
