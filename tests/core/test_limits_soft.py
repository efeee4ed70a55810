"""From the book to the limits of a grant: caps, credits, the plan, hours that do not count."""

from dataclasses import replace

import pytest

from tripgate.core import allowance
from tripgate.core.book import EMPTY, Book, add_device, add_person, approve_device, set_cap
from tripgate.core.limits import cap_of, cap_states, counted, limits_for, rolled, shares
from tripgate.core.model import (
    PLAN,
    Cap,
    Counter,
    Limit,
    Period,
    Plan,
    Target,
    device_target,
    person_target,
)

NOON = 1_800_000_000 // 86_400 * 86_400 + 43_200
DAY = NOON - 43_200
STARTS = dict.fromkeys((Period.DAY, Period.WEEK, Period.MONTH, Period.TRIP), DAY)
MARIA = person_target("maria")


def family() -> tuple[Book, Target]:
    book, device = add_device(add_person(EMPTY, "maria"), "ip:10.0.0.2", 0, entropy="00000001")
    return approve_device(book, device.id, "maria"), device_target(device.id)


BOOK, PHONE = family()


def limits(book: Book, now: int | None = NOON) -> set[tuple[Target, Period, int | None, bool]]:
    device = book.devices[PHONE.key]
    return {
        (limit.target, limit.period, limit.limit, limit.soft)
        for limit in limits_for(book, device, STARTS, now)
        if limit.limit is not None
    }


def test_without_caps_every_scope_and_period_is_counted() -> None:
    made = limits_for(BOOK, BOOK.devices[PHONE.key], STARTS, NOON)
    places = {(limit.target, limit.period) for limit in made}
    assert places == {(target, period) for target in (PHONE, MARIA, PLAN) for period in STARTS}
    assert len(made) == 12


def test_caps_of_all_scopes_hold_at_once() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10))
    book = set_cap(book, Cap(MARIA, Period.WEEK, 20, "throttle", rate=1000))
    book = set_cap(book, Cap(PLAN, Period.MONTH, 30, "essentials"))
    assert limits(book) == {
        (PHONE, Period.DAY, 10, False),
        (MARIA, Period.WEEK, 20, True),
        (PLAN, Period.MONTH, 30, True),
    }


def test_the_plans_volume_stops_though_a_cap_beside_it_only_slows() -> None:
    book = replace(BOOK, plan=Plan(volume=100))
    book = set_cap(book, Cap(PLAN, Period.TRIP, 50, "essentials"))
    assert limits(book) == {(PLAN, Period.TRIP, 100, False), (PLAN, Period.TRIP, 50, True)}


def test_a_credit_raises_the_period_it_was_given_in_and_no_other() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10))
    book = allowance.give(book, PHONE, 5, NOON)
    assert limits(book) == {(PHONE, Period.DAY, 15, False)}
    assert limits(allowance.give(BOOK_CAPPED, PHONE, 5, DAY - 1)) == {
        (PHONE, Period.DAY, 10, False)
    }


BOOK_CAPPED = set_cap(BOOK, Cap(PHONE, Period.DAY, 10))


def test_a_limit_that_was_lent_away_is_zero_and_never_less() -> None:
    book = set_cap(BOOK_CAPPED, Cap(MARIA, Period.DAY, 10))
    book = allowance.lend(book, PHONE, MARIA, 10, NOON, 10)
    book = allowance.lend(book, PHONE, MARIA, 10, NOON, 10)
    assert limits(book) == {(PHONE, Period.DAY, 0, False), (MARIA, Period.DAY, 30, False)}


def test_old_credits_are_added_up_and_lose_nothing() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.ONCE, 10, created_at=1))
    for at in range(1, 700):
        book = allowance.give(book, PHONE, 1, at * 86_400)
    assert len(book.credits) < 100
    assert limits(book) == {(PHONE, Period.ONCE, 10 + 699, False)}


def test_in_hours_that_do_not_count_the_limit_is_away_and_the_usual_counter_goes_on() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10, free=(60, 360)))
    assert limits(book, DAY + 5 * 3600) == set()
    assert limits(book, NOON) == {(counted(PHONE), Period.DAY, 10, False)}
    usual = Limit(PHONE, Period.DAY, DAY)
    for now in (NOON, DAY + 5 * 3600):
        assert usual in limits_for(book, book.devices[PHONE.key], STARTS, now)


def test_what_a_cap_with_free_hours_shows_is_its_own_counter() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10, free=(60, 360)))
    counters = {(PHONE, Period.DAY): Counter(DAY, 9), (counted(PHONE), Period.DAY): Counter(DAY, 4)}
    (state,) = cap_states(book, counters, STARTS, trusted=True)
    assert (state.used, state.remaining) == (4, 6)


def test_a_limit_leads_back_to_its_cap() -> None:
    cap = Cap(PHONE, Period.DAY, 10, "essentials", free=(60, 360))
    book = set_cap(BOOK, cap)
    assert cap_of(book, Limit(counted(PHONE), Period.DAY, DAY, 10)) == cap
    assert cap_of(book, Limit(PLAN, Period.TRIP, DAY, 10)) is None


def test_counters_of_counted_hours_are_shared_like_the_others() -> None:
    made = shares(BOOK, BOOK.devices[PHONE.key], [PHONE.key])
    assert made[counted(PLAN)] == made[PLAN] == 1


def test_what_a_rolling_day_leaves_is_there_the_next_day() -> None:
    made = NOON
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10, created_at=made, roll=True))
    found = []
    for day in range(4):
        starts = {**STARTS, Period.DAY: DAY + day * 86_400}
        limits = limits_for(book, book.devices[PHONE.key], starts, made)
        found += [one.limit for one in limits if one.target == rolled(PHONE)]
    assert found == [10, 20, 30, 40]


@pytest.mark.parametrize("hour", [0, 1, 12, 23])
def test_days_that_roll_are_counted_right_over_a_change_of_the_clocks(hour: int) -> None:
    made = DAY + hour * 3600
    cap = Cap(PHONE, Period.DAY, 10, created_at=made, roll=True)
    book = set_cap(BOOK, cap)
    for skew in (-3600, 0, 3600):
        starts = {**STARTS, Period.DAY: DAY + 5 * 86_400 + skew}
        limits = limits_for(book, book.devices[PHONE.key], starts, made)
        assert [one.limit for one in limits if one.target == rolled(PHONE)] == [60]


def test_a_rolling_cap_shows_the_day_with_what_the_days_before_left() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10, created_at=NOON, roll=True))
    today = {**STARTS, Period.DAY: DAY + 86_400}
    counters = {
        (PHONE, Period.DAY): Counter(DAY + 86_400, 3),
        (rolled(PHONE), Period.ONCE): Counter(NOON, 7),  # 4 yesterday, 3 today
    }
    (state,) = cap_states(book, counters, today, trusted=True)
    assert (state.limit, state.used, state.remaining) == (16, 3, 13)


def test_while_the_clock_is_not_trusted_no_hour_is_free() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10, free=(0, 1439)))
    assert limits(book, None) == {(counted(PHONE), Period.DAY, 10, False)}


def test_while_the_clock_is_not_trusted_no_day_has_rolled() -> None:
    book = set_cap(BOOK, Cap(PHONE, Period.DAY, 10, created_at=DAY - 9 * 86_400, roll=True))
    assert limits(book, None) == {(rolled(PHONE), Period.ONCE, 10, False)}


def test_while_the_clock_is_not_trusted_gifts_do_not_count_and_loans_do() -> None:
    book = set_cap(set_cap(BOOK, Cap(PHONE, Period.DAY, 10)), Cap(MARIA, Period.DAY, 10))
    book = allowance.give(allowance.give(book, PHONE, 5, NOON), MARIA, -5, NOON)
    assert limits(book, None) == {
        (PHONE, Period.DAY, 10, False),
        (MARIA, Period.DAY, 5, False),
    }
