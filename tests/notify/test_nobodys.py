"""Bytes without an owner are an alarm when they are many, and of the last hour."""

import pytest

from tripgate.notify.nobodys import LEAST, STEP_S, WINDOW_S, Nobodys


def alarm(total: int, lost: int, *, after: float = STEP_S, quiet: float = 0) -> int:
    """After a start at which much was lost already, so much more; then silence."""
    counts = [10**9, 10**7]
    nobodys = Nobodys(lambda: (counts[0], counts[1]))
    nobodys.look(0)
    counts[0] += total
    counts[1] += lost
    nobodys.look(after)
    now = after
    while now < after + quiet:
        now += STEP_S
        nobodys.look(now)
    return nobodys.alarm


@pytest.mark.parametrize(
    ("total", "lost", "expected"),
    [
        (10**8, LEAST + 1, LEAST + 1),
        (10**8, LEAST, 0),
        (1000 * (LEAST + 1), LEAST + 1, 0),
        (0, 0, 0),
    ],
    ids=["an alarm", "too few", "a thousandth of all", "none"],
)
def test_few_bytes_are_no_alarm(total: int, lost: int, expected: int) -> None:
    assert alarm(total, lost) == expected


def test_readings_are_a_minute_apart() -> None:
    assert alarm(10**8, LEAST + 1, after=STEP_S - 1) == 0


def test_after_an_hour_it_is_over() -> None:
    assert alarm(10**8, LEAST + 1, quiet=WINDOW_S - 2 * STEP_S) == LEAST + 1
    assert alarm(10**8, LEAST + 1, quiet=WINDOW_S + 2 * STEP_S) == 0
