"""Bytes of nobody in the last hour: an alarm from ``LEAST`` bytes and a thousandth of all on."""

from collections import deque
from collections.abc import Callable

WINDOW_S = 3600.0
STEP_S = 60.0
LEAST = 1_000_000
SHARE = 1000


class Nobodys:
    """``read``: bytes of the uplink, all and of nobody, since the start."""

    def __init__(self, read: Callable[[], tuple[int, int]]) -> None:
        self._read = read
        self._past: deque[tuple[float, int, int]] = deque(maxlen=int(WINDOW_S / STEP_S) + 1)
        self.alarm = 0
        """Bytes of the last hour that nobody owns, if that is an alarm; else 0."""

    def look(self, now: float) -> None:
        """Take a reading, a minute apart."""
        if self._past and now - self._past[-1][0] < STEP_S:
            return
        self._past.append((now, *self._read()))
        while now - self._past[0][0] > WINDOW_S:
            self._past.popleft()
        (_, all_before, before), (_, all_now, found) = self._past[0], self._past[-1]
        lost, moved = found - before, all_now - all_before
        self.alarm = lost if lost > LEAST and lost * SHARE > moved else 0
