"""Warn levels of caps: each fires once in a period, and a restart does not fire it again.

Rules
1. A level is reached when its share of the limit is used. Of several that were passed at once only
   the highest is told.
2. What was told is in the book: the cap's period (its beginning) and the highest level. A new
   period, and no other event, begins anew: not a limit that was raised, nor a start that an edit
   has moved back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tripgate.core.book import Book
from tripgate.core.model import CapState, Period, Warned


@dataclass(frozen=True, slots=True)
class Alert:
    """A level that was just reached: ``level`` percent of the cap of ``state``."""

    state: CapState
    level: int
    start: int


def due(book: Book, states: Iterable[CapState], starts: Mapping[Period, int]) -> list[Alert]:
    """The levels that were reached and not told."""
    told = {(one.target, one.period): one for one in book.warned}
    found = []
    for state in states:
        cap = state.cap
        start = starts.get(cap.period, cap.created_at)
        level = max((one for one in cap.warn if state.used * 100 >= state.limit * one), default=0)
        before = told.get((cap.target, cap.period))
        known = before.level if before is not None and before.start >= start else 0
        if level > known:
            found.append(Alert(state, level, start))
    return found


def told(book: Book, warnings: Iterable[Alert]) -> Book:
    """Remember them; what caps that are gone have told is forgotten."""
    kept = {(one.target, one.period): one for one in book.warned}
    for one in warnings:
        cap = one.state.cap
        kept[cap.target, cap.period] = Warned(cap.target, cap.period, one.start, one.level)
    return replace(book, warned=tuple(one for key, one in kept.items() if key in book.caps))
