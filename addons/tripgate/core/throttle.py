"""A token bucket: bytes that may move at a rate.

Rules
1. Tokens are bytes and come at ``rate`` bits per second, up to a burst of ``BURST_S`` seconds (at
   least ``BURST_MIN`` bytes). A new bucket is full.
2. Who takes gets what is there, and none while there is less than a worthwhile portion: 1-byte
   writes would cost more in headers than they carry.
3. What was taken and could not be used is put back. Time is monotonic seconds, a parameter.
"""

from dataclasses import dataclass, field

BURST_S = 0.25
BURST_MIN = 4 * 1024
PORTION = 1_024


@dataclass(slots=True)
class Bucket:
    """``rate`` in bits per second; shared by all flows that it slows."""

    rate: int
    _tokens: float = field(init=False, repr=False)
    _at: float | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    @property
    def burst(self) -> float:
        return max(BURST_MIN, self.rate / 8 * BURST_S)

    def take(self, want: int, now: float) -> int:
        """Up to ``want`` bytes; 0: wait for :meth:`delay` seconds."""
        self._fill(now)
        if self._tokens < min(want, PORTION):
            return 0
        got = min(want, int(self._tokens))
        self._tokens -= got
        return got

    def put_back(self, volume: int) -> None:
        """Taken and not used."""
        self._tokens = min(self.burst, self._tokens + volume)

    def delay(self, want: int, now: float) -> float:
        """Seconds until :meth:`take` gives something."""
        self._fill(now)
        return max(0.0, (min(want, PORTION) - self._tokens) * 8 / self.rate)

    def _fill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate / 8)
        self._at = now if self._at is None else max(self._at, now)
