"""Warns when caps reach their levels: told once, kept in the book before anybody is told.

A lost race for the book is a warning that is told with the next look, by whoever comes first.
"""

import logging
from collections.abc import Callable

from tripgate.core import limits, warning
from tripgate.core.book import target_label
from tripgate.core.model import Target
from tripgate.core.warning import Alert
from tripgate.ledger.protocol import Edit
from tripgate.proxy.desk import LeaseDesk

EVERY_S = 5.0

log = logging.getLogger("tripgate.warn")


class Warner:
    """Looks at the caps of the desk's book. ``tell`` gets each warning once."""

    def __init__(self, desk: LeaseDesk, tell: Callable[[Alert], None] | None = None) -> None:
        self._desk = desk
        self._tell = tell or self._log
        self._next = 0.0

    async def turn(self) -> None:
        """Look again if it is time. May raise ``LedgerDown``."""
        now = self._desk.clock.monotonic()
        if now >= self._next and any(cap.warn for cap in self._desk.book.caps.values()):
            self._next = now + EVERY_S
            await self.look()

    async def look(self) -> None:
        """Read the counters, and tell what is due. May raise ``LedgerDown``."""
        desk, book = self._desk, self._desk.book
        targets: set[Target] = {cap.target for cap in book.caps.values()}
        tallies = await desk.stores.ledger.tallies([*targets, *limits.tallied(book)])
        trusted = desk.clock.trusted()
        states = limits.cap_states(book, tallies.counters, desk.starts, trusted=trusted)
        found = warning.due(book, states, desk.starts)
        if not found:
            return
        names = ", ".join(f"{target_label(book, w.state.cap.target)} {w.level} %" for w in found)
        edit = Edit("gateway", "cap warning", names, int(desk.clock.wall()))
        won = await desk.stores.registry.replace(desk.version, warning.told(book, found), edit)
        await desk.reload()
        for one in found if won else ():
            self._tell(one)

    def _log(self, one: Alert) -> None:
        cap = one.state.cap
        label = target_label(self._desk.book, cap.target)
        log.warning("%s has used %d %% of its %s cap", label, one.level, cap.period)
