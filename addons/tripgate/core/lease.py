"""The budget of one lease: what a device may move before the ledger is asked again.

Rules
1. ``granted`` and ``taken`` are cumulative and start at zero; only a grant raises ``granted``.
2. Bytes are taken before they move: an upload before it is sent, a download before it is
   delivered. ``take`` never gives more than is left.
3. ``charge`` records bytes that are beyond recall (they arrived, nobody asked the budget). It may
   pass ``granted``: an overrun is recorded, never refused.
4. The next slice is asked for while ``AHEAD_S`` seconds of budget are left, sized to ``SLICE_S``
   seconds of the device's own rate. A slice that did not last ``AHEAD_S`` is followed by one twice
   its size: the rate is an average and knows nothing of a burst.
5. Where the kernel counts (router mode), what was taken is an estimate until its count comes:
   then ``count`` puts the truth in the estimate's place. ``held`` is what the kernel may move by
   itself; nobody else may take it. It cannot ask for more in time, so its slices are at least
   ``least`` bytes.
6. Time is a parameter, in seconds of a monotonic clock.
"""

from dataclasses import dataclass, field
from math import exp

SLICE_MIN = 256 * 1024
SLICE_MAX = 16 * 1024 * 1024
SLICE_S = 30.0
AHEAD_S = 2.0
IDLE_S = 60.0
RATE_WINDOW_S = 5.0


@dataclass(slots=True)
class Budget:
    """Granted and taken bytes of one lease, and the rate at which they are taken."""

    granted: int = 0
    taken: int = 0
    final: bool = False
    revoked: bool = False
    rate: float = 0.0
    active_at: float = 0.0
    held: int = 0
    least: int = SLICE_MIN
    counted: int = 0
    _slice: int = field(default=0, repr=False)
    _grown_at: float | None = field(default=None, repr=False)
    _measured_at: float | None = field(default=None, repr=False)
    _measured: int = field(default=0, repr=False)

    @property
    def left(self) -> int:
        """Bytes that may still be taken; never negative, none once revoked."""
        left = self.granted - self.taken - self.held
        return left if left > 0 and not self.revoked else 0

    @property
    def overrun(self) -> int:
        """Bytes charged past what was granted."""
        return max(0, self.taken - self.granted)

    def grow(self, granted: int, now: float) -> None:
        """A grant: ``granted`` bytes in all from ``now`` on."""
        hasty = self._grown_at is not None and now - self._grown_at < AHEAD_S
        self._slice = 2 * max(self._slice, SLICE_MIN // 2) if hasty else 0
        self.granted, self._grown_at = granted, now

    def take(self, want: int) -> int:
        """Take up to ``want`` bytes; 0 means: wait for a grant."""
        got = min(want, self.left)
        self.taken += got
        return got

    def charge(self, volume: int) -> None:
        """Record bytes that are beyond recall."""
        self.taken += volume

    def refund(self, volume: int) -> None:
        """Give back bytes that were taken and never left the gateway."""
        self.taken -= volume

    def count(self, volume: int) -> None:
        """``volume`` more bytes were counted; every estimate since the last count is void."""
        self.counted += volume
        self.taken = self.counted

    def measure(self, now: float) -> None:
        """Update the rate (bytes/s, exponentially weighted over ``RATE_WINDOW_S``)."""
        if self._measured_at is None:
            self._measured_at, self._measured, self.active_at = now, self.taken, now
            return
        elapsed = now - self._measured_at
        if elapsed <= 0:
            return
        if self.taken != self._measured:
            self.active_at = now
        weight = 1 - exp(-elapsed / RATE_WINDOW_S)
        self.rate += weight * ((self.taken - self._measured) / elapsed - self.rate)
        self._measured_at, self._measured = now, self.taken

    @property
    def low(self) -> bool:
        """Time to ask for the next slice, if there may be one."""
        if self.final or self.revoked:
            return False
        left = self.granted - self.taken
        return (
            left - self.held < SLICE_MIN // 4
            or left < self.least // 2
            or left < self.rate * AHEAD_S
        )

    @property
    def want(self) -> int:
        """How much to ask for: the next slice, and what was overrun."""
        slice_ = max(self.least, self.rate * SLICE_S, self._slice)
        return int(min(SLICE_MAX, slice_)) + self.overrun

    def idle(self, now: float) -> bool:
        """Nothing was taken for ``IDLE_S``: the slice goes back."""
        return self._measured_at is not None and now - self.active_at >= IDLE_S
