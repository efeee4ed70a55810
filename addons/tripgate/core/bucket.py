"""A token bucket: a rate, a small burst, and who may have how much of it.

Rules
1. Tokens are bytes; they grow with time and never beyond ``burst``.
2. A share is what one of several who wait may have now: an equal part, but no crumbs (a crumb costs
   a whole header).
3. Time is a parameter, in seconds of a monotonic clock.
"""

from dataclasses import dataclass

TICK_S = 0.02
"""How long a burst at the full rate is; the shortest time between two shares."""

CRUMB = 1448
"""The payload of one full segment."""


@dataclass(slots=True)
class Bucket:
    """``rate`` in bytes per second."""

    rate: float
    filled_at: float
    tokens: float = 0.0

    @property
    def burst(self) -> float:
        return max(2 * CRUMB, 2 * TICK_S * self.rate)

    def fill(self, now: float) -> None:
        """Add what has come in since the last time."""
        elapsed = max(0.0, now - self.filled_at)
        self.tokens = min(self.burst, self.tokens + elapsed * self.rate)
        self.filled_at = now

    def share(self, waiting: int) -> int:
        """How much the next of ``waiting`` may have; 0: nobody may have anything yet."""
        if self.tokens < CRUMB:
            return 0
        return int(min(self.tokens, max(CRUMB, self.tokens / waiting)))

    def take(self, volume: int) -> None:
        self.tokens -= volume

    @property
    def wait(self) -> float:
        """Seconds until there is a share again."""
        return max(TICK_S, (CRUMB - self.tokens) / self.rate)
