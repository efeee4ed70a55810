"""The budget: nothing moves that was not granted, and what was recorded stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.lease import AHEAD_S, IDLE_S, SLICE_MAX, SLICE_MIN, Budget

KB = 1024


def test_a_new_budget_gives_nothing() -> None:
    assert Budget().take(1) == 0


def test_take_gives_what_is_left_and_no_more() -> None:
    budget = Budget(granted=100)
    assert [budget.take(60), budget.take(60), budget.take(60)] == [60, 40, 0]


def test_a_revoked_budget_gives_nothing_though_granted() -> None:
    budget = Budget(granted=100)
    budget.revoked = True
    assert budget.take(1) == 0


def test_charging_past_the_grant_is_recorded_as_overrun() -> None:
    budget = Budget(granted=100, taken=90)
    budget.charge(30)
    assert (budget.taken, budget.left, budget.overrun) == (120, 0, 20)


def test_the_next_slice_also_covers_the_overrun() -> None:
    assert Budget(granted=100, taken=150).want == SLICE_MIN + 50


def test_refunded_bytes_can_be_taken_again() -> None:
    budget = Budget(granted=100, taken=100)
    budget.refund(10)
    assert budget.take(50) == 10


@pytest.mark.parametrize(
    ("rate", "want"),
    [(0, SLICE_MIN), (20 * KB, 600 * KB), (10_000 * KB, SLICE_MAX)],
    ids=["idle: the least", "30 s of the rate", "fast: the most"],
)
def test_a_slice_is_thirty_seconds_of_the_rate_within_bounds(rate: float, want: int) -> None:
    assert Budget(rate=rate).want == want


def test_more_is_asked_for_while_two_seconds_are_left() -> None:
    rate = 1000 * KB
    ahead = int(rate * AHEAD_S)
    assert not Budget(granted=ahead, rate=rate).low
    assert Budget(granted=ahead - 1, rate=rate).low


@pytest.mark.parametrize("end", ["final", "revoked"])
def test_nothing_is_asked_ahead_at_the_end_of_a_lease(end: str) -> None:
    budget = Budget()
    setattr(budget, end, True)
    assert not budget.low


def test_the_rate_follows_steady_traffic() -> None:
    budget = Budget(granted=10**9)
    for second in range(60):
        budget.measure(second)
        budget.take(5000)
    assert budget.rate == pytest.approx(5000, rel=0.01)


def test_a_budget_is_idle_a_minute_after_its_last_byte() -> None:
    budget = Budget(granted=100)
    budget.measure(0)
    budget.take(1)
    budget.measure(10)
    assert not budget.idle(10 + IDLE_S - 0.1)
    assert budget.idle(10 + IDLE_S)


def test_a_clock_that_stands_still_does_not_disturb_the_rate() -> None:
    budget = Budget(granted=100, rate=7)
    budget.measure(1)
    budget.take(50)
    budget.measure(1)
    assert budget.rate == 7


@given(st.lists(st.integers(0, 10**6)), st.integers(0, 10**7))
def test_takes_never_add_up_to_more_than_the_grant(wants: list[int], granted: int) -> None:
    budget = Budget(granted=granted)
    assert sum(budget.take(want) for want in wants) == min(granted, sum(wants))
