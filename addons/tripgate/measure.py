"""Takes the readings that the metrics show: the proxy's own counts, and caps from the ledger.

Rules
1. A reading changes nothing: no scrape can hold up, admit or refuse anything.
2. The ledger is asked at most once in ``FRESH_S``, however often somebody scrapes, and again
   after an edit of the book.
3. The forecast is made anew every ``FORECAST_S``: it reads a week of hours.
4. While the ledger is down the last known use of caps stands (it never falls within a period), and
   ``ledger_up`` says so.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tripgate import __version__
from tripgate.clock import Clock
from tripgate.core import limits
from tripgate.core.book import Book
from tripgate.core.model import PLAN, Period, Target
from tripgate.ledger.protocol import LedgerDown, Tallies
from tripgate.metrics import DIRECTIONS, NOTHING, Both, Reading
from tripgate.outlook import outlook
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.gate import Gate

FRESH_S = 1.0
FORECAST_S = 300.0


class Uplink(NamedTuple):
    """Bytes on the uplink since the start: all, the gateway's own, and those without an owner."""

    total: Both = NOTHING
    gateway: Both = NOTHING
    unattributed: Both = NOTHING


class Measure:
    """Reads the state of one gateway. ``uplink`` counts an interface, where there is one;
    ``drains``: the running totals of :mod:`tripgate.drainwatch`."""

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        mode: str,
        uplink: Callable[[], Uplink] | None = None,
        drains: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._gate = gate
        self._desk: LeaseDesk = gate.desk
        self._clock = clock
        self._mode = mode
        self._uplink = uplink or self._sockets
        self._drains = drains if drains is not None else {}
        self._tallies = Tallies({})
        self._asked: tuple[int, float] | None = None
        self._exhausts_at: int | None = None
        self._foreseen: tuple[int, float] | None = None

    async def read(self) -> Reading:
        """The present state; counters of caps are at most ``FRESH_S`` old."""
        await self._refresh()
        desk, stats = self._desk, self._desk.stats
        uplink = self._uplink()
        trusted = self._clock.trusted()
        caps = limits.cap_states(desk.book, self._tallies.counters, desk.starts, trusted)
        return Reading(
            version=__version__,
            mode=self._mode,
            book=desk.book,
            caps=tuple(caps),
            warned=self._warned(),
            plan_used=self._plan_used(trusted),
            exhausts_at=await self._exhaustion(trusted),
            traffic=dict(stats.traffic),
            uplink=uplink.total,
            gateway=uplink.gateway,
            unattributed=uplink.unattributed,
            drains=dict(self._drains),
            flows=self._flows(),
            verdicts=dict(stats.verdicts),
            cuts=dict(stats.cuts),
            calls=dict(stats.calls),
            overrun=stats.overrun,
            ledger_up=stats.ledger_up,
            clock_trusted=trusted,
        )

    async def _refresh(self) -> None:
        now, version = self._clock.monotonic(), self._desk.version
        if self._asked and self._asked[0] == version and now - self._asked[1] < FRESH_S:
            return
        self._asked = version, now
        with contextlib.suppress(LedgerDown):  # the settlement loop finds out and says so
            self._tallies = await self._desk.stores.ledger.tallies(capped(self._desk.book))

    async def _exhaustion(self, trusted: bool) -> int | None:
        """When the plan's volume is used up; unknown without a volume, or of too little data."""
        desk, now = self._desk, self._clock.monotonic()
        known = self._foreseen
        if known and known[0] == desk.version and now - known[1] < FORECAST_S:
            return self._exhausts_at
        used, plan = self._plan_used(trusted), desk.book.plan
        if used is None or plan is None or plan.volume is None:
            return None
        left = max(0, plan.volume + limits.credit(desk.book, PLAN, plan.starts_at or 0) - used)
        with contextlib.suppress(LedgerDown):
            seen, at = self._tallies.seen, int(self._clock.wall())
            found = await outlook(desk.stores.ledger, desk.book, seen, left, at)
            self._exhausts_at, self._foreseen = found.exhausted_at, (desk.version, now)
        return self._exhausts_at

    def _warned(self) -> Mapping[tuple[Target, Period], int]:
        """The highest warn level that was told of each cap in its present period."""
        starts = self._desk.starts
        return {
            (one.target, one.period): one.level
            for one in self._desk.book.warned
            if one.start == starts.get(one.period, one.start)
        }

    def _plan_used(self, trusted: bool) -> int | None:
        """Of the plan's trip; unknown until the ledger has answered once."""
        if (counter := self._tallies.counters.get((PLAN, Period.TRIP))) is None:
            return 0 if self._desk.stats.ledger_up else None
        return limits.current(counter, self._desk.starts[Period.TRIP], trusted=trusted).used

    def _flows(self) -> Mapping[str, int]:
        upstream = sum(len(account.flows) for account in self._desk.accounts.values())
        return {"client": len(self._gate.connections), "upstream": upstream}

    def _sockets(self) -> Uplink:
        """The explicit mode's uplink is the upstream sockets: of devices, and of messages."""
        own = self._desk.stats.own
        sums: Counter[str] = Counter(own)
        for (_, _, way), volume in self._desk.stats.traffic.items():
            sums[way] += volume
        total, gateway = (Both(*(one[way] for way in DIRECTIONS)) for one in (sums, own))
        return Uplink(total, gateway)


def capped(book: Book) -> list[Target]:
    """The targets whose counters are shown: those with a cap, and the plan."""
    caps = [target for target, _ in book.caps]
    return list(dict.fromkeys([*caps, PLAN, *limits.tallied(book)]))
