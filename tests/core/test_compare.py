"""Which offer carries a trip, what it costs, and in which order they are told."""

import dataclasses
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.compare import Answer, Bill, Lasts, Trip, bill, compare, trip
from tripgate.core.forecast import Rhythm
from tripgate.core.offers import Offer

MB, GB = 10**6, 10**9
DAY_S = 86_400
TRIP = Trip(2 * GB, 8 * GB, 10 * GB, 12 * GB, 20 * DAY_S, True, GB // 2)


def offer(name: str = "A", volume: int | None = 10 * GB, price: int = 20, **more: Any) -> Offer:
    return Offer(name, volume, Decimal(price), "USD", **more)


def answer(one: Offer, found: Trip = TRIP, elapsed_s: int = 4 * DAY_S) -> Answer:
    (made,) = compare([one], found, elapsed_s)
    return made


@pytest.mark.parametrize(
    ("one", "lasts"),
    [
        (offer(volume=12 * GB), Lasts.YES),
        (offer(volume=12 * GB - 1), Lasts.MAYBE),
        (offer(volume=8 * GB), Lasts.MAYBE),
        (offer(volume=8 * GB - 1), Lasts.NO),
        (offer(volume=50 * GB, valid_s=20 * DAY_S), Lasts.YES),
        (offer(volume=50 * GB, valid_s=20 * DAY_S - 1), Lasts.EXPIRES),
        (offer(volume=None), Lasts.YES),
        (offer(volume=None, fair_use=GB // 2), Lasts.YES),
        (offer(volume=None, fair_use=GB // 2 - 1), Lasts.SLOW),
    ],
)
def test_a_package_lasts_when_it_holds_the_upper_end_for_the_whole_trip(
    one: Offer, lasts: Lasts
) -> None:
    assert answer(one).lasts is lasts


def test_without_a_forecast_nothing_is_confirmed_and_what_is_too_small_is_refuted() -> None:
    unforeseen = trip(2 * GB, 0, 4 * DAY_S, None, None, None)
    assert not unforeseen.foreseen
    assert answer(offer(volume=50 * GB), unforeseen).lasts is Lasts.UNKNOWN
    assert answer(offer(volume=GB), unforeseen).lasts is Lasts.NO


@pytest.mark.parametrize(
    ("one", "covers"),
    [
        (offer(volume=2 * GB), True),
        (offer(volume=2 * GB - 1), False),
        (offer(valid_s=4 * DAY_S), True),
        (offer(valid_s=4 * DAY_S - 1), False),
        (offer(volume=None), True),
    ],
)
def test_it_would_have_covered_what_was_used_so_far(one: Offer, covers: bool) -> None:
    assert answer(one).covers_used is covers


@pytest.mark.parametrize(
    ("one", "bought"),
    [
        (offer(volume=10 * GB), Bill(Decimal(20), 1)),
        (offer(volume=4 * GB), Bill(Decimal(60), 3)),
        (offer(volume=50 * GB, valid_s=7 * DAY_S), Bill(Decimal(60), 3)),
        (offer(volume=None, valid_s=7 * DAY_S), Bill(Decimal(60), 3)),
        (
            offer(volume=4 * GB, top_up=2 * GB, top_up_price=Decimal(5)),
            Bill(Decimal(35), 1, 3),
        ),
        (
            offer(volume=4 * GB, top_up=GB, top_up_price=Decimal(50)),
            Bill(Decimal(60), 3),
        ),
        (  # 5 GB in each of two halves
            offer(volume=4 * GB, valid_s=10 * DAY_S, top_up=GB, top_up_price=Decimal(1)),
            Bill(Decimal(42), 2, 2),
        ),
    ],
)
def test_what_does_not_last_is_bought_again_in_the_cheaper_way(one: Offer, bought: Bill) -> None:
    assert answer(one).bill == bought


def test_the_bill_has_the_range_of_the_forecast() -> None:
    made = answer(offer(volume=4 * GB))
    assert (made.least, made.bill.amount, made.most) == (40, 60, 60)


def test_the_cheapest_that_lasts_comes_first_and_the_rest_in_its_order() -> None:
    rows = [
        offer("no", GB, 1),
        offer("may", 10 * GB, 5),
        offer("slow", None, 2, fair_use=MB),
        offer("dear", 20 * GB, 50),
        offer("good", 20 * GB, 30),
        offer("also good", 20 * GB, 30),
        offer("brief", 50 * GB, 1, valid_s=15 * DAY_S),
    ]
    found = [one.offer.name for one in compare(rows, TRIP, DAY_S)]
    assert found == ["also good", "good", "dear", "may", "slow", "brief", "no"]


def test_rounding_counts_where_sessions_are_known_and_is_told_where_not() -> None:
    stepped = offer(volume=12 * GB, step=10 * MB)
    assert not answer(stepped).stepped
    known = answer(stepped, dataclasses.replace(TRIP, sessions=1_000))
    assert known.stepped
    assert known.lasts is Lasts.MAYBE
    assert known.bill.packages == 2


def test_a_trip_is_what_was_used_and_what_is_expected_with_its_range() -> None:
    even = Rhythm((GB / 24,) * 24, 2, 0.0)
    made = trip(3 * GB, 0, 3 * DAY_S, 10 * DAY_S, even, None)
    assert (made.likely, made.length_s, made.foreseen) == (10 * GB, 10 * DAY_S, True)
    assert made.low < made.likely < made.high
    assert made.high - made.likely == pytest.approx(0.1 * 7 * GB)


VOLUMES = st.integers(0, 10**12)
OFFERS = st.builds(
    Offer,
    st.just("A"), st.none() | st.integers(1, 10**12), st.just(Decimal(7)), st.just("USD"),
    st.none(), st.none() | st.integers(1, 10**7), st.just(1),
    st.none() | st.integers(1, 10**12), st.just(Decimal(3)),
)  # fmt: skip


@given(OFFERS, VOLUMES, st.integers(1, 10**8))
def test_what_is_bought_holds_what_is_used_for_the_whole_trip(
    one: Offer, volume: int, length: int
) -> None:
    made = bill(one, volume, length)
    assert made.packages >= 1
    assert one.valid_s is None or made.packages * one.valid_s >= length
    if one.volume is not None:
        assert made.packages * one.volume + made.top_ups * (one.top_up or 0) >= volume
    assert made.amount == 7 * made.packages + 3 * made.top_ups


@given(OFFERS, VOLUMES, VOLUMES, st.integers(1, 10**8))
def test_more_use_never_costs_less(one: Offer, volume: int, more: int, length: int) -> None:
    assert bill(one, volume + more, length).amount >= bill(one, volume, length).amount


@given(st.lists(OFFERS, max_size=5), VOLUMES, VOLUMES, VOLUMES, st.integers(1, 10**8))
def test_the_order_is_by_what_lasts_and_then_by_cost(
    rows: list[Offer], used: int, first: int, second: int, length: int
) -> None:
    found = Trip(used, used + first, used + first + second, used + first + 2 * second, length, True)
    made = compare(rows, found, length)
    assert len(made) == len(rows)
    for before, after in pairwise(made):
        if before.lasts is after.lasts:
            assert before.bill.amount <= after.bill.amount
        assert not (after.lasts is Lasts.YES and before.lasts is not Lasts.YES)
    for one in made:
        assert one.least <= one.bill.amount <= one.most
