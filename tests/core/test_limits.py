"""From the book to the limits of a grant, and from counters to caps that people read."""

from dataclasses import replace

import pytest

from tests.core.test_book import cap, family
from tripgate.core import book
from tripgate.core.limits import cap_states, current, limits_for, shares, targets_of
from tripgate.core.model import (
    PLAN,
    Counter,
    Limit,
    Period,
    Plan,
    device_target,
    person_target,
)
from tripgate.core.period import starts

NOW = 1_767_225_600 + 3 * 86_400  # 4 January 2026, a Sunday
STARTS = starts(None, NOW)


def limits(made: book.Book, name: str = "phone") -> dict[tuple[str, str], Limit]:
    found = limits_for(made, book.find_device(made, name), STARTS, NOW)
    tightest = sorted(found, key=lambda one: -(one.limit if one.limit is not None else 2**62))
    return {(book.target_label(made, one.target), str(one.period)): one for one in tightest}


def test_a_device_counts_in_its_own_scope_its_persons_and_the_plans() -> None:
    made = family()
    phone, tablet = book.find_device(made, "phone"), book.find_device(made, "tablet")
    assert targets_of(phone) == (device_target(phone.id), person_target("ana"), PLAN)
    assert targets_of(tablet) == (device_target(tablet.id), PLAN)


def test_every_period_is_counted_whether_there_is_a_cap_or_not() -> None:
    found = limits(family())
    assert {period for _, period in found} == {"day", "week", "month", "trip"}
    assert len(found) == 12
    assert all(one.limit is None for one in found.values())


def test_a_cap_limits_its_own_target_and_period_and_nothing_else() -> None:
    found = limits(cap(family(), "ana", Period.WEEK, 700))
    assert found.pop(("person:ana", "week")).limit == 700
    assert all(one.limit is None for one in found.values())


def test_once_counts_from_when_its_cap_was_made() -> None:
    made = cap(cap(family(), "tablet"), "phone", Period.ONCE, 500)
    assert limits(made)["device:phone", "once"].start == 1
    assert ("device:tablet", "once") not in limits(made, "tablet")


@pytest.mark.parametrize(
    ("volume", "capped", "limit"),
    [(None, None, None), (500, None, 500), (None, 300, 300), (500, 300, 300), (200, 300, 200)],
)
def test_of_the_plans_volume_and_a_cap_on_it_the_smaller_holds(
    volume: int | None, capped: int | None, limit: int | None
) -> None:
    made = book.set_plan(family(), Plan(volume=volume))
    if capped:
        made = cap(made, "plan", Period.TRIP, capped)
    assert limits(made)["plan", "trip"].limit == limit


def test_a_scope_is_shared_by_the_active_devices_on_it() -> None:
    made = family()
    phone, laptop, tablet = (book.find_device(made, name) for name in ("phone", "laptop", "tablet"))
    found = shares(made, phone, [laptop.id, tablet.id, "dev-gone"])
    assert {target: found[target] for target in targets_of(phone)} == {
        device_target(phone.id): 1,
        person_target("ana"): 2,
        PLAN: 3,
    }


def test_a_device_alone_shares_with_nobody() -> None:
    made = family()
    assert set(shares(made, book.find_device(made, "phone"), []).values()) == {1}


# -- what people read --------------------------------------------------------------------------


def test_caps_are_shown_device_person_plan_and_in_the_order_of_periods() -> None:
    made = family()
    for target, period in (("plan", Period.DAY), ("ana", Period.DAY), ("phone", Period.WEEK)):
        made = cap(made, target, period)
    made = cap(made, "phone", Period.DAY)
    shown = [
        (book.target_label(made, one.cap.target), one.cap.period)
        for one in cap_states(made, {}, STARTS, trusted=True)
    ]
    assert shown == [
        *(("device:phone", "day"), ("device:phone", "week"), ("person:ana", "day"), ("plan", "day"))
    ]


@pytest.mark.parametrize(
    ("used", "remaining", "spent"),
    [
        (98_500, 1_500, False),
        (98_501, 1_499, True),
        (100_000, 0, True),
        (140_000, 0, True),
    ],
)
def test_a_cap_that_is_used_up_says_so(used: int, remaining: int, spent: bool) -> None:
    made = cap(family(), "plan", limit=100_000)
    counters = {(PLAN, Period.DAY): Counter(STARTS[Period.DAY], used, 7)}
    (state,) = cap_states(made, counters, STARTS, trusted=True)
    assert (state.used, state.reserved, state.remaining, state.spent) == (used, 7, remaining, spent)
    assert state.resets_at == STARTS[Period.DAY] + 86_400


def test_yesterdays_counter_is_over_only_by_a_trusted_clock() -> None:
    yesterday = Counter(STARTS[Period.DAY] - 86_400, 500, 3)
    assert current(yesterday, STARTS[Period.DAY], trusted=True).used == 0
    assert current(yesterday, STARTS[Period.DAY], trusted=False) == yesterday
    assert current(None, 5, trusted=False) == Counter(5, 0)
    later = replace(yesterday, start=STARTS[Period.DAY] + 5)
    assert current(later, STARTS[Period.DAY], trusted=True) == later
