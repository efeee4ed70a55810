"""Deadlines without a timer for each: what has the same patience stands in one queue.

Rules
1. A queue has one duration, so the order of entry is the order of expiry, and only its head is
   ever looked at.
2. Whoever expires says itself what that means: it may enter a queue again.
"""

from collections import OrderedDict
from typing import Protocol


class Expiring(Protocol):
    """Something with a deadline."""

    def expire(self, now: float) -> None: ...


class Deadlines:
    """A queue of ``patience`` seconds."""

    __slots__ = ("_due", "_patience")

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._due: OrderedDict[Expiring, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def enter(self, thing: Expiring, now: float) -> None:
        """Let it expire ``patience`` seconds from ``now``; it must not be in the queue."""
        self._due[thing] = now + self._patience

    def leave(self, thing: Expiring) -> None:
        """It has no deadline here any more, if it had one."""
        self._due.pop(thing, None)

    def expire(self, now: float) -> None:
        """Tell all whose time is up."""
        while self._due:
            thing, due = next(iter(self._due.items()))
            if due > now:
                return
            del self._due[thing]
            thing.expire(now)
