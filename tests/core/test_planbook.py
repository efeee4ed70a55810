"""Plans in a row and plans of uplinks: one pays at a time, each has its own followers."""

from dataclasses import replace

import pytest

from tripgate.core import bookcodec
from tripgate.core.book import EMPTY, Book, BookError
from tripgate.core.limits import limits_for
from tripgate.core.model import PLAN, Device, DeviceState, Kind, Limit, Period, Plan, Target
from tripgate.core.period import starts
from tripgate.core.planbook import (
    MOST_NEXT,
    MOST_UPLINKS,
    chosen,
    in_force,
    over,
    paying,
    plan_target,
    put,
    queue_plan,
    remove,
    row,
    succeed,
)

HOTEL, MODEM = plan_target("wlan1"), plan_target("wwan0")
BOTH = put(replace(EMPTY, plan=Plan(volume=10)), HOTEL, Plan(volume=2, starts_at=100, valid_s=50))
PHONE = Device("dev-1", "phone", DeviceState.APPROVED)


def bound(uplink: str | None) -> Book:
    return replace(EMPTY, plan=Plan(uplink=uplink))


@pytest.mark.parametrize(
    ("book", "used", "pays"),
    [
        (EMPTY, ("eth0",), PLAN),
        (bound(None), ("eth0",), PLAN),
        (bound(None), (), PLAN),
        (bound("wwan0"), ("wwan0",), PLAN),
        (bound("wwan0"), ("wwan0", "eth0"), PLAN),
        (bound("wwan0"), ("eth0", "wwan0"), None),
        (bound("wwan0"), ("eth0",), None),
        (bound("wwan0"), (), None),
        (BOTH, ("wlan1",), HOTEL),
        (BOTH, ("wlan1", "wwan0"), HOTEL),
        (BOTH, ("wwan0", "wlan1"), PLAN),
        (put(bound("wwan0"), HOTEL, Plan()), ("wlan1",), HOTEL),
        (put(bound("wwan0"), HOTEL, Plan()), ("eth0",), None),
    ],
)
def test_the_plan_of_the_preferred_uplink_pays(
    book: Book, used: tuple[str, ...], pays: Target | None
) -> None:
    assert paying(book, used) == pays


@pytest.mark.parametrize(
    ("used", "start", "now", "pays"),
    [
        ("wwan0", "at", 199, None),
        ("wwan0", "at", 200, PLAN),
        ("wwan0", "at", None, PLAN),
        ("wwan0", "now", 199, PLAN),
        ("wlan1", "at", 199, None),
        ("wlan1", "at", 200, HOTEL),
    ],
)
def test_a_plan_that_begins_at_a_set_time_pays_from_then_on(
    used: str, start: str, now: int | None, pays: Target | None
) -> None:
    plan = Plan(start=start, starts_at=200)
    assert paying(put(replace(EMPTY, plan=plan), HOTEL, plan), (used,), now) == pays


@pytest.mark.parametrize(
    ("book", "uplink", "bind", "target"),
    [
        (EMPTY, None, False, PLAN),
        (EMPTY, "wlan1", False, PLAN),
        (bound("wlan1"), "wlan1", False, PLAN),
        (bound(None), "wlan1", False, HOTEL),
        (bound(None), "wlan1", True, PLAN),
        (bound("wwan0"), "wlan1", False, HOTEL),
        (BOTH, "wlan1", False, HOTEL),
        (BOTH, "wlan1", True, HOTEL),
        (BOTH, None, False, PLAN),
    ],
)
def test_an_edit_that_names_an_uplink_is_about_its_plan(
    book: Book, uplink: str | None, bind: bool, target: Target
) -> None:
    assert chosen(book, uplink, bind=bind) == target


def volumes(book: Book, pays: Target | None) -> list[Limit]:
    began = starts(book.plan, 120)
    plan = in_force(book).get(pays or PLAN)
    found = limits_for(book, PHONE, began, 120, pays=pays, plan_starts=starts(plan, 120))
    return [one for one in found if one.target.kind is Kind.PLAN and one.limit is not None]


def test_the_plan_that_pays_limits_with_its_own_counter_and_the_other_does_not() -> None:
    assert volumes(BOTH, PLAN) == [Limit(PLAN, Period.TRIP, 0, 10)]
    assert volumes(BOTH, HOTEL) == [Limit(HOTEL, Period.TRIP, 100, 2)]
    assert volumes(BOTH, None) == []


def test_each_plan_has_its_own_row() -> None:
    book = queue_plan(BOTH, Plan(volume=3, uplink="wlan1"))
    book = queue_plan(book, Plan(volume=4))
    book = queue_plan(book, Plan(volume=5, uplink="eth0"))
    assert [one.volume for one in row(book, HOTEL)] == [3]
    assert [one.volume for one in row(book, PLAN)] == [4, 5]
    assert not over(book, 149, HOTEL, used_up=False)
    assert over(book, 150, HOTEL, used_up=False)
    after = succeed(book, 150, HOTEL)
    assert in_force(after)[HOTEL] == Plan(volume=3, uplink="wlan1", starts_at=150)
    assert after.plan == BOTH.plan
    assert [one.volume for one in after.queue] == [4, 5]


def test_an_uplinks_plan_goes_with_its_row() -> None:
    book = queue_plan(queue_plan(BOTH, Plan(volume=3, uplink="wlan1")), Plan(volume=4))
    after = remove(book, "wlan1")
    assert (after.uplink_plans, [one.volume for one in after.queue]) == ((), [4])
    with pytest.raises(BookError, match="plan list"):
        remove(after, "wlan1")


def test_plans_are_bounded() -> None:
    book = BOTH
    for number in range(MOST_UPLINKS - 1):
        book = put(book, plan_target(f"ppp{number}"), Plan())
    book = put(book, HOTEL, Plan(volume=9))
    with pytest.raises(BookError, match="plan remove"):
        put(book, plan_target("eth9"), Plan())
    for _ in range(MOST_NEXT):
        book = queue_plan(book, Plan())
    with pytest.raises(BookError, match="enough"):
        queue_plan(book, Plan())


def test_plans_of_uplinks_are_kept() -> None:
    assert bookcodec.load(bookcodec.dump(BOTH)) == BOTH


def test_two_plans_of_one_uplink_are_damage() -> None:
    twice = replace(BOTH, uplink_plans=BOTH.uplink_plans * 2)
    with pytest.raises(BookError, match="a plan of an uplink"):
        bookcodec.load(bookcodec.dump(twice))
