"""A token bucket: a rate, a small burst, and who may have how much of it.

Rules
1. Tokens are bytes; they come at ``rate`` bits per second and never beyond ``burst``. A new bucket
   is empty.
2. A share is what one of several who wait may have now: an equal part, but no crumbs (a crumb costs
   a whole header).
3. Who cannot ask before it moves bytes owes them (:meth:`Bucket.owe`): they are paid with what
   nobody else could use meanwhile (of which ``SPARE_S`` is kept for the next time: it does not ask
   at equal intervals), then ahead of all others. So the rate holds for all together.
4. Time is a parameter, in seconds of a monotonic clock.
"""

from dataclasses import dataclass, field

TICK_S = 0.02
"""How long a burst at the full rate is; the shortest time between two shares."""

SPARE_S = 0.25
"""How long a burst of those who owe is, beyond the time that they move without asking."""

CRUMB = 1448
"""The payload of one full segment."""


@dataclass(slots=True, eq=False)
class Bucket:
    """``rate`` in bits per second; shared by everything that it slows."""

    rate: int
    filled_at: float
    tokens: float = 0.0
    _spilt: float = field(default=0.0, repr=False)

    @property
    def speed(self) -> float:
        """Bytes per second."""
        return self.rate / 8

    @property
    def burst(self) -> float:
        return max(2 * CRUMB, 2 * TICK_S * self.speed)

    def fill(self, now: float) -> None:
        """Add what has come in since the last time."""
        elapsed = max(0.0, now - self.filled_at)
        tokens = self.tokens + elapsed * self.speed
        self.tokens = min(self.burst, tokens)
        self._spilt += tokens - self.tokens
        self.filled_at = now

    def share(self, waiting: int) -> int:
        """How much the next of ``waiting`` may have; 0: nobody may have anything yet."""
        if self.tokens < CRUMB:
            return 0
        return int(min(self.tokens, max(CRUMB, self.tokens / waiting)))

    def take(self, volume: int) -> None:
        self.tokens -= volume

    def owe(self, volume: int, now: float) -> None:
        """Rule 3: ``volume`` bytes have moved since the last call (0 is a call too)."""
        self.fill(now)
        self.tokens -= max(0.0, volume - self._spilt)
        self._spilt = min(max(0.0, self._spilt - volume), SPARE_S * self.speed)

    def ahead(self, seconds: float) -> int:
        """What may move in the next ``seconds``, debts paid, if nobody else moves anything."""
        return max(0, int(self.tokens + self._spilt + seconds * self.speed))

    @property
    def wait(self) -> float:
        """Seconds until there is a share again."""
        return max(TICK_S, (CRUMB - self.tokens) / self.speed)
