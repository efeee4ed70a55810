"""The token bucket holds its rate and loses nothing."""

from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.throttle import BURST_MIN, PORTION, Bucket

MBIT = 1_000_000


def test_a_new_bucket_gives_its_burst_and_then_nothing() -> None:
    bucket = Bucket(MBIT)
    assert [bucket.take(10**6, 0.0), bucket.take(10**6, 0.0)] == [31_250, 0]


def test_bytes_come_back_at_the_rate() -> None:
    bucket = Bucket(MBIT)
    bucket.take(10**6, 0.0)
    assert bucket.take(10**6, 0.1) == 12_500


def test_a_slow_bucket_still_gives_a_packet_or_two() -> None:
    assert Bucket(1_000).take(10**6, 0.0) == BURST_MIN


def test_less_than_a_portion_waits_for_the_portion() -> None:
    bucket = Bucket(8 * PORTION)
    bucket.take(10**6, 0.0)
    assert bucket.take(10**6, 0.5) == 0
    assert bucket.delay(10**6, 0.5) == 0.5
    assert bucket.take(10**6, 1.0) == PORTION


def test_what_is_put_back_can_be_taken_again() -> None:
    bucket = Bucket(MBIT)
    bucket.put_back(bucket.take(10_000, 0.0))
    assert bucket.take(10**6, 0.0) == 31_250


@given(
    st.integers(1_000, 10**8),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 10**6)), max_size=50),
)
def test_never_more_than_burst_and_rate_allow(rate: int, steps: list[tuple[float, int]]) -> None:
    bucket, now, moved = Bucket(rate), 0.0, 0
    bucket.delay(1, now)
    for pause, want in steps:
        now += pause
        moved += bucket.take(want, now)
        assert moved <= bucket.burst + now * rate / 8 + 1
