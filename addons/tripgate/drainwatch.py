"""Follows drains while the gateway runs: the counter of the metrics, and what is big.

Rules
1. What is counted is what ``tripgate drains`` shows, from the start of the process on: the same
   hours, the same rules. A guess from a pattern is counted when its hour is over.
2. A counter never falls, and shows 0 before it rises: its first bytes are an increase too.
3. It is bounded: ``LOOK_BACK_S`` of hours are remembered, and labels are those of
   :mod:`tripgate.core.labels`.
4. With the ledger down the counter stands; the next look makes up for it.
"""

import asyncio
import contextlib

from tripgate.background import background
from tripgate.core.classify import Catalogue
from tripgate.core.drain import Drain, Piece, drains
from tripgate.core.labels import Labels
from tripgate.core.usage import HOUR_S
from tripgate.ledger.protocol import LedgerDown
from tripgate.proxy.desk import LeaseDesk

EVERY_S = 10.0
LOOK_BACK_S = 6 * HOUR_S

Place = tuple[str, str, int]


class DrainWatch:
    """``totals``: bytes by (device id, service) since the start. ``found``: the drains of the last
    hours, the largest first."""

    def __init__(self, desk: LeaseDesk, catalogue: Catalogue) -> None:
        self.totals: dict[tuple[str, str], int] = {}
        self.found: list[Drain] = []
        self._desk = desk
        self._shared = catalogue.shared
        self._names = Labels()
        self._counted: dict[Place, int] | None = None

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            with contextlib.suppress(LedgerDown):  # the settlement loop finds out and says so
                await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Read the last hours. May raise ``LedgerDown``."""
        desk, now = self._desk, int(self._desk.clock.wall())
        known = desk.book.devices if self._counted is None else [*desk.accounts]
        devices = [one for one in known if one in desk.book.devices]
        found = await background(desk.stores.ledger, devices, now - LOOK_BACK_S, now, self._shared)
        if self._counted is None:
            self._counted = {_place(piece): piece.volume for piece in found}
        self.found = drains(found, now)
        for drain in self.found:
            self._count(drain, now)
        self._forget(now)

    def _count(self, drain: Drain, now: int) -> None:
        assert self._counted is not None
        label = self._label(drain.pieces[0])
        if label not in self.totals:
            self.totals[label] = 0  # rule 2: counted with the next look
            return
        for piece in drain.pieces:
            before = self._counted.get(_place(piece), 0)
            if piece.volume > before and not _open_guess(piece, now):
                self._counted[_place(piece)] = piece.volume
                self.totals[label] += piece.volume - before

    def _label(self, piece: Piece) -> tuple[str, str]:
        return self._names.device(piece.device), self._names.service(piece.service)

    def _forget(self, now: int) -> None:
        oldest = now - LOOK_BACK_S - 2 * HOUR_S
        self._counted = {
            place: volume for place, volume in (self._counted or {}).items() if place[2] >= oldest
        }


def _place(piece: Piece) -> Place:
    return piece.device, piece.service, piece.at


def _open_guess(piece: Piece, now: int) -> bool:
    """Rule 1: somebody may still come in this hour."""
    return piece.why == "pattern" and now < piece.at + HOUR_S
