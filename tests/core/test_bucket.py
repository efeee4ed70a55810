"""The token bucket: the rate on the average, a small burst, no crumbs."""

from tripgate.core.bucket import CRUMB, TICK_S, Bucket


def test_tokens_come_with_time_up_to_the_burst() -> None:
    bucket = Bucket(rate=1_000_000, filled_at=0)
    bucket.fill(0.01)
    assert bucket.tokens == 10_000
    bucket.fill(1000)
    assert bucket.tokens == bucket.burst == 40_000


def test_a_clock_that_stands_adds_nothing() -> None:
    bucket = Bucket(1_000_000, 5.0)
    bucket.fill(4.0)
    assert bucket.tokens == 0


def test_a_share_is_an_equal_part_but_no_crumb() -> None:
    bucket = Bucket(1_000_000, 0, tokens=10 * CRUMB)
    assert [bucket.share(n) for n in (1, 2, 100)] == [10 * CRUMB, 5 * CRUMB, CRUMB]


def test_less_than_a_segment_is_nobodys() -> None:
    assert Bucket(1_000_000, 0, tokens=CRUMB - 1).share(1) == 0


def test_the_wait_is_as_long_as_a_segment_takes_and_no_spin() -> None:
    assert Bucket(8_000, 0).wait == CRUMB / 8_000
    assert Bucket(6_250_000, 0).wait == TICK_S


def test_what_is_taken_on_the_whole_is_the_rate() -> None:
    bucket, taken, now = Bucket(8_000, 0.0), 0, 0.0
    while now < 30:
        now += bucket.wait
        bucket.fill(now)
        share = bucket.share(3)
        bucket.take(share)
        taken += share
    assert abs(taken - 30 * 8_000) <= 2 * CRUMB
