"""Days, weeks and months over every IANA zone: they tile time, and turn with the local date."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripgate.core.model import Period, Plan
from tripgate.core.period import DAY_S, ends, midnight, starts

ZONES = sorted(available_timezones())
INSTANTS = st.integers(0, 4_000_000_000)
BILLING = st.integers(1, 31)


def local(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone))


@settings(max_examples=400)
@given(st.sampled_from(ZONES), INSTANTS, BILLING)
def test_now_lies_in_its_period_and_the_next_begins_where_it_ends(
    zone: str, now: int, billing: int
) -> None:
    plan = Plan(tz=zone, billing_day=billing)
    for period in (Period.DAY, Period.WEEK, Period.MONTH):
        begun, end = starts(plan, now)[period], ends(period, plan, now)
        assert end is not None
        assert begun <= now < end
        assert starts(plan, begun)[period] == begun
        assert starts(plan, end - 1)[period] == begun
        assert starts(plan, end)[period] == end


def test_in_a_leap_year_every_date_begins_once_and_after_the_one_before_in_every_zone() -> None:
    for zone in ZONES:
        here, day = ZoneInfo(zone), date(2024, 1, 1)
        begun = [midnight(day + timedelta(days=after), here) for after in range(367)]
        lengths = {later - earlier for earlier, later in pairwise(begun)}
        assert all(20 * 3600 <= length <= 28 * 3600 for length in lengths), zone
        assert begun[-1] - begun[0] == pytest.approx(366 * DAY_S, abs=4 * 3600)


@settings(max_examples=300)
@given(st.sampled_from(ZONES), INSTANTS)
def test_a_day_begins_with_its_local_date_and_not_a_second_later(zone: str, now: int) -> None:
    begun = starts(Plan(tz=zone), now)[Period.DAY]
    assert local(begun - 1, zone).date() != local(begun, zone).date()


@pytest.mark.parametrize(
    ("billing", "today", "first"),
    [
        (31, date(2024, 2, 15), date(2024, 1, 31)),
        (31, date(2024, 2, 29), date(2024, 2, 29)),
        (31, date(2023, 2, 28), date(2023, 2, 28)),
        (30, date(2024, 3, 1), date(2024, 2, 29)),
        (29, date(2023, 3, 1), date(2023, 2, 28)),
        (31, date(2024, 4, 30), date(2024, 4, 30)),
        (1, date(2024, 12, 31), date(2024, 12, 1)),
        (15, date(2024, 1, 14), date(2023, 12, 15)),
    ],
)
def test_a_billing_day_that_a_month_lacks_is_its_last_day(
    billing: int, today: date, first: date
) -> None:
    for zone in ("UTC", "America/Mexico_City", "Pacific/Kiritimati", "Europe/Lisbon"):
        noon = midnight(today, ZoneInfo(zone)) + 12 * 3600
        begun = starts(Plan(tz=zone, billing_day=billing), noon)[Period.MONTH]
        assert local(begun, zone).date() == first


@settings(max_examples=200)
@given(st.sampled_from(ZONES), INSTANTS, st.integers(0, 10**8))
def test_days_of_24_hours_know_no_daylight_saving(zone: str, begun: int, later: int) -> None:
    plan = Plan(tz=zone, day="24h", starts_at=begun, valid_s=30 * DAY_S)
    day = starts(plan, begun + later)[Period.DAY]
    assert (day - begun) % DAY_S == 0
    assert ends(Period.DAY, plan, begun + later) == day + DAY_S


def test_a_trip_across_zones_moves_the_midnight_and_loses_no_instant() -> None:
    home = Plan(tz="Europe/Lisbon")
    now = midnight(date(2024, 5, 1), ZoneInfo("America/Mexico_City")) + 3600
    there = replace(home, tz="America/Mexico_City")
    assert (
        local(starts(there, now)[Period.DAY], there.tz).isoformat() == "2024-05-01T00:00:00-06:00"
    )
    assert starts(home, now)[Period.DAY] <= now
