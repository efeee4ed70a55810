"""What one channel has still to be sent: bounded, gathered into few messages, tried again.

Rules
1. At most ``MOST`` events wait; of more the oldest go. None waits longer than ``KEEP_S``.
2. The first event waits ``GATHER_S`` for others; between two messages are ``PAUSE_S``. What waits
   goes together in one message.
3. A failure is tried again after ``FIRST_S``, then twice that, and so on up to ``LAST_S``.
4. Time is a parameter, in seconds of a monotonic clock.
"""

from collections import deque
from dataclasses import dataclass, field

from tripgate.core.event import Event

MOST = 50
KEEP_S = 86_400.0
GATHER_S = 3.0
PAUSE_S = 30.0
FIRST_S, LAST_S = 5.0, 300.0
LINES = 20
"""Lines of one message."""


@dataclass(slots=True)
class Outbox:
    """``busy``: a message is under way."""

    busy: bool = False
    _waiting: deque[tuple[float, Event]] = field(default_factory=lambda: deque(maxlen=MOST))
    _tries: int = 0
    _next: float = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: Event, now: float) -> None:
        if not self._waiting:
            self._next = max(self._next, now + GATHER_S)
        self._waiting.append((now, event))

    def take(self, now: float) -> tuple[Event, ...]:
        """What is to be sent now; it stays until :meth:`done` says that it was."""
        while self._waiting and not self.busy and now - self._waiting[0][0] > KEEP_S:
            self._waiting.popleft()
        if self.busy or now < self._next or not self._waiting:
            return ()
        self.busy = True
        return tuple(event for _, event in self._waiting)

    def done(self, events: tuple[Event, ...], now: float) -> None:
        """They arrived, or never will."""
        gone = {id(event) for event in events}
        kept = [pair for pair in self._waiting if id(pair[1]) not in gone]
        self._waiting.clear()
        self._waiting.extend(kept)
        self.busy, self._tries, self._next = False, 0, now + PAUSE_S

    def failed(self, now: float) -> None:
        """Rule 3."""
        self._tries += 1
        wait = FIRST_S * 2 ** min(self._tries - 1, 20)
        self.busy, self._next = False, now + min(LAST_S, wait)


def lines(events: tuple[Event, ...]) -> list[str]:
    """The text of a message; long ones are cut."""
    texts = [event.text for event in events]
    more = len(texts) - LINES
    return texts if more <= 0 else [*texts[:LINES], f"and {more} more: tripgate status"]
