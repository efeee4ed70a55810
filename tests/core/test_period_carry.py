"""A change of the plan's zone gives no period a fresh start."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tripgate.core.book import Book
from tripgate.core.limits import limits_for
from tripgate.core.model import Cap, Device, DeviceState, Period, Plan, device_target
from tripgate.core.period import carry, ends, starts
from tripgate.core.planbook import queue_plan, succeed

DAY_S = 86_400


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


EVENING = at("2026-05-04T20:33")
ZONES = ("Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Pago_Pago")
PERIODS = (Period.DAY, Period.WEEK, Period.MONTH)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", PERIODS)
def test_what_runs_goes_on_from_where_it_began(zone: str, period: Period) -> None:
    before = Plan()
    after = carry(before, replace(before, tz=zone), EVENING)
    assert starts(after, EVENING)[period] == starts(before, EVENING)[period]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", PERIODS)
def test_it_ends_as_the_new_zone_says_and_the_next_begins_there(zone: str, period: Period) -> None:
    plain = Plan(tz=zone)
    after = carry(Plan(), plain, EVENING)
    end = ends(period, after, EVENING)
    assert end == ends(period, plain, EVENING)
    assert end is not None
    assert end > EVENING
    assert starts(after, end - 1)[period] == starts(Plan(), EVENING)[period]
    assert starts(after, end)[period] == end
    assert ends(period, after, starts(after, EVENING)[Period.DAY]) == end


def test_many_changes_give_no_fresh_start_either() -> None:
    plan, now = Plan(), EVENING
    began = starts(plan, now)
    for zone in (*ZONES, "UTC"):
        plan, now = carry(plan, replace(plan, tz=zone), now), now + 60
    assert {p: starts(plan, now)[p] for p in PERIODS} == {p: began[p] for p in PERIODS}


def test_without_a_plan_before_it_is_the_same() -> None:
    after = carry(None, Plan(tz="Asia/Tokyo"), EVENING)
    assert starts(after, EVENING)[Period.DAY] == at("2026-05-04T00:00")


def test_another_edit_keeps_what_was_carried() -> None:
    after = carry(Plan(), Plan(tz="Asia/Tokyo"), EVENING)
    assert carry(after, replace(after, volume=1), EVENING + 60).carried == after.carried


def test_the_next_plan_of_another_zone_is_no_fresh_start() -> None:
    book = queue_plan(Book(plan=Plan()), Plan(tz="Asia/Tokyo", start="next"))
    after = succeed(book, EVENING).plan
    assert starts(after, EVENING)[Period.DAY] == at("2026-05-04T00:00")


def test_windows_of_24_hours_know_no_zone() -> None:
    plan = Plan(day="24h", starts_at=EVENING - 3600)
    after = carry(plan, replace(plan, tz="Asia/Tokyo"), EVENING)
    assert starts(after, EVENING + DAY_S) == starts(plan, EVENING + DAY_S)


def test_a_rolling_cap_counts_the_long_day_once() -> None:
    device = Device("d1", "phone", DeviceState.APPROVED, ("ip:10.0.0.2",), EVENING)
    cap = Cap(device_target("d1"), Period.DAY, 100, created_at=EVENING - 60, roll=True)
    plan = carry(Plan(), Plan(tz="Asia/Tokyo"), EVENING)
    book = Book({"d1": device}, caps={(cap.target, cap.period): cap}, plan=plan)

    def limit(now: int) -> int | None:
        made = limits_for(book, device, starts(plan, now), now)
        return next(one.limit for one in made if one.target.key.endswith("~rolled"))

    end = ends(Period.DAY, plan, EVENING)
    assert end is not None
    assert [limit(EVENING), limit(end), limit(end + DAY_S)] == [100, 200, 300]
