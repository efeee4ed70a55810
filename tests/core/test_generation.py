import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.generation import Total

BYTES = st.integers(min_value=0, max_value=1 << 50)


def test_a_counter_that_grows_adds_what_it_grew() -> None:
    assert Total().read(100).read(250).bytes == 250


def test_a_smaller_reading_is_a_new_generation_and_all_new() -> None:
    assert Total().read(100).read(30) == Total(130, 30, 1)


def test_the_same_reading_again_adds_nothing() -> None:
    once = Total().read(100)
    assert once.read(100) == once


def test_after_a_known_restart_a_larger_reading_is_all_new() -> None:
    assert Total().read(100).restarted().read(150).bytes == 250


def test_a_negative_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        Total().read(-1)


@given(st.lists(BYTES))
def test_a_total_never_falls(readings: list[int]) -> None:
    total, before = Total(), 0
    for reading in readings:
        total = total.read(reading)
        assert total.bytes >= before
        before = total.bytes


@given(st.lists(st.lists(BYTES, min_size=1).map(sorted)))
def test_a_total_is_never_more_than_what_the_generations_counted(runs: list[list[int]]) -> None:
    total = Total()
    for run in runs:
        for reading in run:
            total = total.read(reading)
    assert total.bytes <= sum(run[-1] for run in runs)
