"""The token bucket: the rate on the average, a small burst, no crumbs, debts paid."""

import random

import pytest

from tripgate.core.bucket import CRUMB, TICK_S, Bucket

MBYTE = 8_000_000
"""A rate of a million bytes a second."""


def test_tokens_come_with_time_up_to_the_burst() -> None:
    bucket = Bucket(rate=MBYTE, filled_at=0)
    bucket.fill(0.01)
    assert bucket.tokens == 10_000
    bucket.fill(1000)
    assert bucket.tokens == bucket.burst == 40_000


def test_a_new_bucket_is_empty() -> None:
    assert Bucket(MBYTE, 5.0).share(1) == 0


def test_a_slow_bucket_still_holds_two_packets() -> None:
    assert Bucket(1_000, 0).burst == 2 * CRUMB


def test_a_clock_that_stands_adds_nothing() -> None:
    bucket = Bucket(MBYTE, 5.0)
    bucket.fill(4.0)
    assert bucket.tokens == 0


def test_a_share_is_an_equal_part_but_no_crumb() -> None:
    bucket = Bucket(MBYTE, 0, tokens=10 * CRUMB)
    assert [bucket.share(n) for n in (1, 2, 100)] == [10 * CRUMB, 5 * CRUMB, CRUMB]


def test_less_than_a_segment_is_nobodys() -> None:
    assert Bucket(MBYTE, 0, tokens=CRUMB - 1).share(1) == 0


def test_the_wait_is_as_long_as_a_segment_takes_and_no_spin() -> None:
    assert Bucket(64_000, 0).wait == CRUMB / 8_000
    assert Bucket(50_000_000, 0).wait == TICK_S


def test_what_is_taken_on_the_whole_is_the_rate() -> None:
    bucket, taken, now = Bucket(64_000, 0.0), 0, 0.0
    while now < 30:
        now += bucket.wait
        bucket.fill(now)
        share = bucket.share(3)
        bucket.take(share)
        taken += share
    assert abs(taken - 30 * 8_000) <= 2 * CRUMB


@pytest.mark.parametrize("chatter", [False, True], ids=["alone", "beside one who only looks"])
@pytest.mark.parametrize("jitter", [0.0, 0.2])
@pytest.mark.parametrize("mean", [0.5, 0.7, 1.0])
def test_who_owes_moves_at_the_rate_on_the_whole(mean: float, jitter: float, chatter: bool) -> None:
    bucket, now, moved, span, dice = Bucket(MBYTE, 0.0), 0.0, 0, mean, random.Random(1)
    while now < 60:
        volume = bucket.ahead(span)
        span = mean + dice.uniform(-jitter, jitter)
        moved += volume
        if chatter:
            bucket.fill(now + span / 2)
        now += span
        bucket.owe(volume, now)
    assert moved == pytest.approx(1_000_000 * now, rel=0.05)


def test_who_owes_and_who_takes_share_the_rate() -> None:
    bucket, owing, taking, now, span = Bucket(MBYTE, 0.0), 0, 0, 0.0, 0.7
    while now < 60:
        volume = bucket.ahead(span)
        owing += volume
        until = now + span
        while now < until:
            now += TICK_S
            bucket.fill(now)
            share = bucket.share(1)
            bucket.take(share)
            taking += share
        bucket.owe(volume, now)
    assert owing + taking == pytest.approx(1_000_000 * now, rel=0.05)
    assert min(owing, taking) >= 0.25 * (owing + taking)


def test_debts_come_first() -> None:
    bucket = Bucket(MBYTE, 0.0)
    bucket.owe(500_000, 0.0)
    bucket.fill(0.4)
    assert (bucket.share(1), bucket.ahead(0.1)) == (0, 0)


def test_what_nobody_could_use_pays_once() -> None:
    bucket = Bucket(MBYTE, 0.0)
    bucket.owe(1_000_000, 1.04)
    assert bucket.tokens == 40_000
    bucket.owe(1_000_000, 1.04)
    assert bucket.tokens == -960_000
