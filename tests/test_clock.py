"""What time it is, and whether it can be believed."""

import ctypes
import sys
import time

import pytest

from tripgate import clock
from tripgate.clock import STA_UNSYNC, TIME_ERROR, SystemClock, kernel_synchronised


@pytest.mark.parametrize(
    ("state", "status", "synchronised"),
    [
        (0, 0, True),
        (1, 0x2001, True),  # a leap second is due; kernel PLL in nanoseconds
        (4, 0, True),
        (TIME_ERROR, STA_UNSYNC, False),
        (TIME_ERROR, 0, False),
        (0, STA_UNSYNC, False),
        (-1, 0, False),  # the system call is refused, as in some containers
    ],
)
def test_the_kernel_tells_whether_the_clock_is_synchronised(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, synchronised: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(clock, "_adjtimex", lambda: (state, status))
    assert kernel_synchronised() is synchronised


@pytest.mark.parametrize(("synchronised", "trusted"), [(True, True), (False, False)])
def test_by_default_the_kernel_is_asked(
    monkeypatch: pytest.MonkeyPatch, synchronised: bool, trusted: bool
) -> None:
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: synchronised)
    assert SystemClock().trusted() is trusted


def test_the_owner_may_answer_for_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: False)
    assert SystemClock("host").trusted() is True


def test_elsewhere_than_on_linux_the_clock_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_adjtimex", lambda: (0, 0))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kernel_synchronised() is False


def test_a_library_without_adjtimex_means_untrusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert kernel_synchronised() is False


def test_the_real_call_is_answered_and_changes_nothing() -> None:
    state, status = clock._adjtimex()
    assert 0 <= state <= TIME_ERROR
    assert 0 <= status < 1 << 16
    assert (state, status) == clock._adjtimex()


def test_wall_is_utc_in_epoch_seconds() -> None:
    before = time.time()
    now = SystemClock().wall()
    assert before <= now <= time.time()


def test_monotonic_is_the_boot_time_clock() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = SystemClock().monotonic()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)
