"""The kernel's table: who is open, what may be forwarded, what was counted.

Rules
1. Nothing is forwarded for a device that is not open, or has no grant. Opening grants nothing.
2. A grant is cumulative: ``grant(slot, n)`` means that ``n`` forwarded bytes, of all generations
   of the counter, may have passed. Repeating it changes nothing; a smaller one takes back.
3. While a slot is not spent its quota is moved by the difference, in the kernel, so that no packet
   falls between reading and writing. Once spent nothing passes it any more, and it is made anew
   from what was counted: a slot that is told as spent wants its grant again, even the same one.
4. A new program on an old table goes on: quotas and counters stand; devices are closed until
   they are opened again. After a loss of the table (:meth:`repair`) a slot gets what was granted
   less what was last read, never more.
5. Rules and sets are compared only when the ruleset's generation is not the one that was found
   intact, counted on by our own transactions: it is the cheap way to know (:meth:`unchanged`).
6. All calls block for a transaction (milliseconds) and may come from any one thread at a time;
   each belongs to the network namespace in which the table was made.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tripgate.core import nftrules
from tripgate.core.generation import Total
from tripgate.core.kernelreading import (
    Count,
    Reading,
    ReadingError,
    less_arp,
    parse_table,
    read_arp,
    read_counts,
    slots_of,
)
from tripgate.core.routerspec import RouterSpec, Station, check_slot
from tripgate.kernel.links import indexes, read_links
from tripgate.kernel.nft import Nft, NftError

# Quotas in a listing, whose limits move with every grant, and the empty lines about them.
_QUOTA = re.compile(r"^\tquota \w+ \{\n.*?^\t\}\n|^\n", re.MULTILINE | re.DOTALL)

COUNTED = ("spent", "up", "down", "forwarded", "links_up", "links_down")


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of everything, raw: a smaller figure than before is a new generation."""

    table: Reading
    uplinks: Mapping[str, Count]
    indexes: Mapping[str, int]


@dataclass(slots=True)
class _Grant:
    """``granted``: cumulative forwarded bytes; ``limit``: the kernel object's own."""

    granted: int
    limit: int


@dataclass(slots=True)
class KernelTable:
    """The gateway's nftables table in this network namespace."""

    nft: Nft = field(default_factory=Nft)
    _spec: RouterSpec | None = None
    _stations: dict[int, Station] = field(default_factory=dict)
    _grants: dict[int, _Grant] = field(default_factory=dict)
    _forwarded: dict[int, Total] = field(default_factory=dict)
    _rules: str = ""
    _intact_at: int = 0

    # ------------------------------------------------------------------ the table

    def apply(self, spec: RouterSpec) -> None:
        """Load the rules for ``spec``; loading them again changes nothing. ``NftError``."""
        first = self._spec is None
        self._run(nftrules.render(spec, self._stations))
        self._spec = spec
        self._rules = self._loaded()
        if first:
            self._adopt(self._read())

    def remove(self) -> None:
        """Take the table away, with its counters. ``NftError``."""
        self._run(nftrules.render_removal())
        self._spec, self._rules = None, ""
        self._grants.clear()
        self._restart()

    def intact(self) -> bool:
        """Whether all that was loaded is still there, and nothing else in the table."""
        generation, self._intact_at = self.nft.generation(), 0
        try:
            intact = self._spec is not None and self._loaded() == self._rules and self._elements()
        except (NftError, ReadingError):
            return False
        if intact:
            self._intact_at = generation
        return intact

    def unchanged(self) -> bool:
        """Whether nobody else has changed anything since :meth:`intact` said yes; False
        if that is not known."""
        return self._intact_at == self.nft.generation() != 0

    def _run(self, text: str) -> None:
        """One transaction of ours: what was intact is so afterwards, if no other was among it."""
        before = self.nft.generation()
        self.nft.run(text)
        if self._intact_at == before:
            after = self.nft.generation()
            self._intact_at = after if after == before + 1 else 0

    def _elements(self) -> bool:
        reading = self._read()
        assert self._spec
        return (
            reading.marks == nftrules.slot_marks(self._stations)
            and reading.owners == nftrules.owners(self._stations)
            and reading.uplinks == {*self._spec.uplinks}
            and not self._mend(reading)
        )

    def repair(self) -> None:
        """Put everything back after somebody else's change: rules, sets, quotas. ``NftError``.

        What still stands is left, counters above all; if the rules cannot be loaded over what is
        there, from an empty table.
        """
        assert self._spec, "nothing was applied"
        whole = nftrules.render(self._spec, self._stations)
        try:
            self._run(whole + self._mend(self._read()))
        except (NftError, ReadingError):
            self._restart()
            self._run(nftrules.render_removal() + whole + self._mend(Reading()))
        self._rules = self._loaded()
        for slot, quota in self._read().quotas.items():
            self._grants[slot].limit = quota.limit

    def _mend(self, reading: Reading) -> str:
        """The commands for the quotas that are missing, changed or not ours."""
        text = [nftrules.no_quota(slot) for slot in reading.quotas if slot not in self._grants]
        for slot, grant in self._grants.items():
            quota = reading.quotas.get(slot)
            if not (quota and quota.asked and quota.limit == grant.limit):
                limit = max(0, grant.granted - self._total(slot))
                text.append(nftrules.new_quota(slot, limit))
        return "".join(text)

    # ------------------------------------------------------------------ devices

    def open_device(self, slot: int, macs: Iterable[str], *, owner: bool = False) -> None:
        """What ``macs`` send may be forwarded, as far as a grant goes. ``NftError``."""
        self._change({slot: Station(frozenset(macs), open=True, owner=owner)})

    def close_device(self, slot: int) -> None:
        """Nothing is forwarded for ``slot`` any more; it is still counted. ``NftError``."""
        closed = replace(self._stations.get(slot, Station()), open=False)
        self._change({slot: closed}, nftrules.no_quota(slot))
        self._grants.pop(slot, None)

    def set_macs(self, slot: int, macs: Iterable[str]) -> None:
        """The MAC addresses of ``slot``, open or not. ``NftError``."""
        station = self._stations.get(slot, Station())
        self._change({slot: replace(station, macs=frozenset(macs))})

    def set_stations(self, stations: Mapping[int, Station]) -> None:
        """All devices at once; the quotas of those that are not open go. ``NftError``."""
        gone = [slot for slot in self._grants if not stations.get(slot, Station()).open]
        text = nftrules.render_stations(stations)
        self._run(text + "".join(nftrules.no_quota(slot) for slot in gone))
        self._stations = dict(stations)
        for slot in gone:
            del self._grants[slot]

    def _change(self, changed: Mapping[int, Station], also: str = "") -> None:
        stations = {**self._stations, **changed}
        self._run(nftrules.render_stations(stations) + also)
        self._stations = stations

    # ------------------------------------------------------------------ grants

    def grant(self, slot: int, forwarded: int) -> None:
        """``forwarded`` bytes of ``slot``, from the beginning and in both directions, may have
        been forwarded. ``NftError``; ``SpecError`` when it is not the slot of a device."""
        self.grant_all({slot: forwarded})

    def grant_all(self, grants: Mapping[int, int]) -> None:
        """Several grants in one transaction. A slot that is not open gets none."""
        reading = self._count()
        held = slots_of(self.nft.elements(nftrules.TABLE, "grants"))
        text, moved = [], {}
        for slot, forwarded in grants.items():
            if not self._stations.get(check_slot(slot), Station()).open:
                continue
            before = self._grants.get(slot)
            if before is None or slot in reading.spent or slot not in held:
                limit = max(0, forwarded - self._total(slot))
                text.append(nftrules.new_quota(slot, limit))
            else:
                limit = max(0, before.limit + forwarded - before.granted)
                text.append(nftrules.move_quota(slot, limit))
            moved[slot] = _Grant(forwarded, limit)
        if text:
            self._run("".join(text))
            self._grants |= moved

    # ------------------------------------------------------------------ reading

    def read(self) -> Look:
        """What was counted; for all devices together, at most once a second. ``NftError``;
        ``ReadingError``."""
        # The interfaces first: packets in between then make the slots' sum the larger one, and
        # steady traffic does not look like bytes without an owner.
        before = indexes(names := self._spec.uplinks if self._spec else ())
        links = read_links(names)
        found = dict(
            before.items() & indexes(names).items()
        )  # not of what went, or came, meanwhile
        arp = read_arp(*(self.nft.elements(nftrules.ARP_TABLE, name) for name in ("up", "down")))
        return Look(self._count(), less_arp(links, arp), found)

    def forwarded(self, slot: int) -> int:
        """Bytes forwarded for ``slot`` over all generations, as of the last reading."""
        return self._total(slot)

    def _read(self) -> Reading:
        return self._followed(parse_table(self.nft.query(f"list table {nftrules.TABLE}")))

    def _count(self) -> Reading:
        """The sets that are counted in, one by one, from the kernel itself: the library takes
        twenty times as long to list the whole table."""
        counted = {name: self.nft.elements(nftrules.TABLE, name) for name in COUNTED}
        return self._followed(read_counts(counted))

    def _followed(self, reading: Reading) -> Reading:
        for slot in {*reading.forwarded, *self._forwarded}:
            total = self._forwarded.get(slot, Total())
            self._forwarded[slot] = total.read(reading.forwarded.get(slot, 0))
        return reading

    def _loaded(self) -> str:
        tables = (nftrules.TABLE, nftrules.ARP_TABLE)
        listed = _QUOTA.sub("", "".join(self.nft.rules(table) for table in tables))
        return "\n".join(line for line in listed.splitlines() if line.strip())

    def _adopt(self, reading: Reading) -> None:
        """Quotas of an earlier program: what is left of them is what it granted."""
        for slot, quota in reading.quotas.items():
            rest = 0 if slot in reading.spent else max(0, quota.limit - quota.used)
            self._grants[slot] = _Grant(self._total(slot) + rest, quota.limit)

    def _total(self, slot: int) -> int:
        return self._forwarded.get(slot, Total()).bytes

    def _restart(self) -> None:
        self._forwarded = {s: total.restarted() for s, total in self._forwarded.items()}
