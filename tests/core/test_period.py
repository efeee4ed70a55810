"""When periods begin and end, in every time zone there is."""

import functools
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripgate.core.model import Period, Plan
from tripgate.core.period import DAY_S, ends, midnight, starts

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
CALENDAR = (Period.DAY, Period.WEEK, Period.MONTH)


def at(zone: str, text: str, fold: int = 0) -> int:
    """Epoch seconds of a local time."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp())


def shown(zone: str, instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(zone)).isoformat()[:16]


# -- every zone --------------------------------------------------------------------------------


@settings(max_examples=1000)
@given(
    zone=st.sampled_from(ZONES),
    now=st.integers(at("UTC", "1990-01-01"), at("UTC", "2037-01-01")),
    billing=st.integers(1, 31),
    day=st.sampled_from(["calendar", "24h"]),
)
def test_a_period_holds_now_and_turns_once(zone: str, now: int, billing: int, day: str) -> None:
    plan = Plan(tz=zone, billing_day=billing, day=day, starts_at=at("UTC", "2020-02-29T17:11"))
    for period in CALENDAR:
        start, end = starts(plan, now)[period], ends(period, plan, now)
        assert end is not None
        assert start <= now < end
        assert starts(plan, start)[period] == start, "its first instant belongs to it"
        assert starts(plan, end - 1)[period] == start, "and so does its last"
        assert starts(plan, end)[period] == end, "the next follows without a gap"


@functools.cache
def changes(zone: str) -> tuple[int, ...]:
    """Hours of 2019 to 2026 in which the zone's offset is another than an hour before."""
    info, found, last = ZoneInfo(zone), [], None
    for instant in range(at("UTC", "2019-01-01"), at("UTC", "2026-01-01"), 6 * 3600):
        offset = datetime.fromtimestamp(instant, UTC).astimezone(info).utcoffset()
        if last not in (None, offset):
            found.append(instant)
        last = offset
    return tuple(found)


@pytest.mark.parametrize("zone", ZONES)
def test_around_every_change_of_the_clocks_a_day_turns_once(zone: str) -> None:
    plan = Plan(tz=zone)
    for change in changes(zone):
        begun = [starts(plan, change + hour * 1800)[Period.DAY] for hour in range(-96, 97)]
        assert begun == sorted(begun)
        lengths = {b - a for a, b in zip(sorted(set(begun)), sorted(set(begun))[1:], strict=False)}
        assert all(20 * 3600 <= length <= 28 * 3600 for length in lengths)


# -- the odd cases, by hand --------------------------------------------------------------------


def test_where_midnight_is_skipped_the_day_begins_after_the_gap() -> None:
    day = midnight(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo"))
    assert shown("America/Sao_Paulo", day) == "2018-11-04T01:00"
    assert shown("America/Sao_Paulo", day - 1) == "2018-11-03T23:59"


def test_where_midnight_happens_twice_the_day_begins_at_the_first() -> None:
    zone = "America/Havana"
    day = midnight(date(2023, 11, 5), ZoneInfo(zone))
    assert day == at(zone, "2023-11-05T00:00", fold=0)
    assert starts(Plan(tz=zone), day + 5400)[Period.DAY] == day


def test_a_date_that_a_zone_left_out_is_no_day() -> None:
    zone = "Pacific/Apia"  # had no 30 December 2011
    start = starts(Plan(tz=zone), at(zone, "2011-12-29T12:00"))[Period.DAY]
    end = ends(Period.DAY, Plan(tz=zone), start)
    assert end is not None
    assert shown(zone, end) == "2011-12-31T00:00"


def test_a_week_begins_on_monday() -> None:
    begun = starts(Plan(tz="Europe/Berlin"), at("Europe/Berlin", "2026-05-10T23:59"))
    assert shown("Europe/Berlin", begun[Period.WEEK]) == "2026-05-04T00:00"


@pytest.mark.parametrize(
    ("billing", "now", "start", "end"),
    [
        (1, "2026-02-15", "2026-02-01", "2026-03-01"),
        (31, "2026-02-27", "2026-01-31", "2026-02-28"),
        (31, "2026-02-28", "2026-02-28", "2026-03-31"),
        (29, "2028-02-29", "2028-02-29", "2028-03-29"),
        (15, "2026-01-03", "2025-12-15", "2026-01-15"),
    ],
)
def test_a_month_begins_on_the_billing_day(billing: int, now: str, start: str, end: str) -> None:
    plan = Plan(billing_day=billing)
    instant = at("UTC", now)
    assert starts(plan, instant)[Period.MONTH] == at("UTC", start)
    assert ends(Period.MONTH, plan, instant) == at("UTC", end)


def test_a_plan_of_24_hour_days_counts_from_its_start() -> None:
    began = at("UTC", "2026-05-01T17:30")
    plan = Plan(day="24h", starts_at=began, tz="Asia/Tokyo")
    now = began + 9 * DAY_S + 60
    assert starts(plan, now)[Period.DAY] == began + 9 * DAY_S
    assert starts(plan, now)[Period.WEEK] == began + 7 * DAY_S


@pytest.mark.parametrize("starts_at", [None, 5 * DAY_S])
def test_the_first_24_hours_take_in_what_was_counted_while_the_plan_waited(
    starts_at: int | None,
) -> None:
    plan = Plan(day="24h", start="first-use", starts_at=starts_at, counts_from=3 * DAY_S + 7)
    for now in (3 * DAY_S + 7, 5 * DAY_S, 5 * DAY_S + 9):
        assert starts(plan, now)[Period.DAY] == 3 * DAY_S + 7


def test_the_second_24_hours_begin_a_day_after_the_first_use() -> None:
    plan = Plan(day="24h", start="first-use", starts_at=5 * DAY_S, counts_from=3 * DAY_S)
    assert ends(Period.DAY, plan, 4 * DAY_S) == 6 * DAY_S
    assert starts(plan, 6 * DAY_S)[Period.DAY] == 6 * DAY_S


def test_a_day_before_the_plan_was_set_ends_when_it_was() -> None:
    plan = Plan(day="24h", start="first-use", starts_at=5 * DAY_S + 99, counts_from=3 * DAY_S)
    assert ends(Period.DAY, plan, 3 * DAY_S - 1) == 3 * DAY_S


@pytest.mark.parametrize("starts_at", [None, 900])
def test_the_trip_of_a_plan_that_waits_for_use_counts_from_when_it_was_set(
    starts_at: int | None,
) -> None:
    plan = Plan(start="first-use", starts_at=starts_at, counts_from=500)
    assert starts(plan, 1000)[Period.TRIP] == 500


def test_the_trip_lasts_as_long_as_the_plan() -> None:
    plan = Plan(starts_at=1000, valid_s=500)
    assert starts(plan, 1200)[Period.TRIP] == 1000
    assert ends(Period.TRIP, plan, 1200) == 1500


def test_without_a_plan_the_trip_has_always_been_and_never_ends() -> None:
    assert starts(None, 5)[Period.TRIP] == 0
    assert ends(Period.TRIP, None, 5) is None


def test_once_never_ends() -> None:
    assert ends(Period.ONCE, replace(Plan(), valid_s=5, starts_at=1), 5) is None
