"""The kernel's counters as the gateway charges by them.

Rules
1. An interface that goes and comes back begins at zero (:mod:`tripgate.core.linkcount`). What an
   interface has counted before it was an uplink is nobody's here, unless it came after the start.
2. ``generation`` names this life of the table's counters: another boot, or a table that was made
   anew, is another. What was posted of one says nothing of the next.
"""

from collections.abc import Mapping
from pathlib import Path

from tripgate.core import marks, nftrules
from tripgate.core.counts import NOTHING, Reading, SlotCount, Volume
from tripgate.core.kernelreading import Count, ReadingError
from tripgate.core.linkcount import LinkCount
from tripgate.kernel.links import newest
from tripgate.kernel.table import KernelTable, Look

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class KernelCounters:
    """Reads ``table``; what it raises is ``OSError``."""

    def __init__(self, table: KernelTable) -> None:
        self._table = table
        self._links: dict[str, LinkCount] = {}
        self._links_at_start: dict[str, Volume] | None = None
        self._newest = 0
        self._allowed: dict[int, int] = {}
        self._spent: frozenset[int] = frozenset()

    def generation(self) -> str:
        """Which life of the counters this is."""
        family, name = nftrules.TABLE.split()
        found = self._table.nft.query(f"list tables {family}")
        handles = [
            one["table"]["handle"]
            for one in found
            if "table" in one and one["table"]["name"] == name
        ]
        return f"{_BOOT.read_text(encoding='ascii').strip()} {handles}"

    def read(self) -> Reading:
        """All counters now."""
        try:
            look = self._table.read()
        except ReadingError as error:
            raise OSError(str(error)) from error
        self._spent = look.table.spent
        slots: dict[int, SlotCount] = {}
        for mark, count in look.table.slots.items():
            slot = mark if mark <= marks.LAST else marks.NOBODY  # somebody else's mark
            before = slots.get(slot, SlotCount())
            volume = before.total + Volume(count.up, count.down)
            slots[slot] = SlotCount(volume, before.forwarded + look.table.forwarded.get(mark, 0))
        for name in {*self._links, *look.uplinks}:
            self._look_at_link(name, look)
        links = self._volumes()
        if self._links_at_start is None:
            self._links_at_start, self._newest = links, newest()
        return Reading(slots, sum(links.values(), NOTHING), self._spent)

    def _look_at_link(self, name: str, look: Look) -> None:
        seen, told = look.uplinks.get(name), look.table.links.get(name, Count())
        life, passed = look.indexes.get(name, 0), Volume(told.up, told.down)
        own = Volume(seen.up, seen.down) if seen and life else None
        if (before := self._links.get(name)) is not None:
            self._links[name] = before.read(own, passed, life)
        elif own is not None:
            young = self._links_at_start is None or life > self._newest
            self._links[name] = LinkCount.first(own, passed, life, young=young)

    def _volumes(self) -> dict[str, Volume]:
        return {name: count.total for name, count in self._links.items()}

    def links(self) -> dict[str, Volume]:
        """L3 bytes of each uplink since the first reading, those that are gone included."""
        before = self._links_at_start or {}
        return {name: now - before.get(name, NOTHING) for name, now in self._volumes().items()}

    def allow(self, volumes: Mapping[int, int]) -> None:
        """Let so many more bytes of each slot be forwarded, from the last reading on."""
        wanted = {slot: self._table.forwarded(slot) + more for slot, more in volumes.items()}
        changed = {
            slot: limit
            for slot, limit in wanted.items()
            if self._allowed.get(slot) != limit or (slot in self._spent and volumes[slot])
        }
        if changed:
            self._table.grant_all(changed)
            self._allowed |= changed

    def forget(self) -> None:
        """The table was made anew, or devices were closed: every quota is told again."""
        self._allowed.clear()
