"""Log lines, at most one a second for each cause: a cause can be repeated at line rate."""

import logging
from collections.abc import Callable

EVERY_S = 1.0


class Quiet:
    """``causes`` are the format strings, which are in the code: their number is small."""

    __slots__ = ("_held", "_last", "_log", "_now")

    def __init__(self, log: logging.Logger, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def warning(self, cause: str, *args: object) -> None:
        """Say it, or count it towards the next time."""
        now = self._now()
        if now - self._last.get(cause, -EVERY_S) < EVERY_S:
            self._held[cause] = self._held.get(cause, 0) + 1
            return
        self._last[cause] = now
        more = self._held.pop(cause, 0)
        self._log.warning(f"{cause} (and {more} times more)" if more else cause, *args)
