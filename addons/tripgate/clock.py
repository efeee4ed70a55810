"""What time it is, how much has passed, and whether the time can be believed.

Rules
1. Durations are of the boot-time clock: it goes on through a suspend and nobody can set it.
2. Periods turn by the wall clock, and only while it is trusted: a Pi starts with a clock of
   yesterday. Trusted means that the kernel says it is synchronised (adjtimex(2)), or that the
   owner answers for it (``clock.trust = "host"``).
"""

import ctypes
import sys
import time
from functools import cache
from typing import Protocol

STA_UNSYNC = 0x0040  # <linux/timex.h>
TIME_ERROR = 5


class Clock(Protocol):
    """Time as the gateway takes it."""

    def wall(self) -> float:
        """UTC, in seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds since some instant before the process; never falls, counts suspends."""

    def trusted(self) -> bool:
        """May periods turn by :meth:`wall`?"""


class SystemClock:
    """The clock of this machine. ``trust``: the setting ``clock.trust``."""

    def __init__(self, trust: str = "kernel") -> None:
        self._believe = trust == "host"
        self._source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.clock_gettime(self._source)

    def trusted(self) -> bool:
        return self._believe or kernel_synchronised()


def kernel_synchronised() -> bool:
    """What adjtimex(2), asked to change nothing, says; False where it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return False
    state, status = _adjtimex()
    return 0 <= state < TIME_ERROR and not status & STA_UNSYNC


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


class _Timex(ctypes.Structure):
    """The head of ``struct timex``, and room for the rest of it (208 bytes on 64-bit Linux)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _adjtimex() -> tuple[int, int]:
    """The kernel's clock state (-1: refused) and status bits. ``modes`` 0 only reads."""
    timex = _Timex()
    try:
        state = _libc().adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return -1, STA_UNSYNC
    return int(state), int(timex.status)
