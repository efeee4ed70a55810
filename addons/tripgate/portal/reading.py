"""What a device's page shows, from the book and one reading of the ledger.

Rules
1. A device reads the ledger at most once a second, however often its page is asked for, and all
   pages of one device wait for the same reading.
2. The ledger has ``PATIENCE_S`` to answer; after that the page says that it cannot be read.
3. A device sees its own use, its limits, its person's and the plan's: nothing of other devices.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from tripgate.core import period, usage
from tripgate.core.book import Book
from tripgate.core.limits import cap_states, credit, current, tallied, targets_of
from tripgate.core.model import PLAN, CapState, Device, Period, Target, device_target
from tripgate.core.planbook import in_force
from tripgate.ledger.protocol import LedgerDown, Tallies
from tripgate.portal.world import World

FRESH_S = 1.0
PATIENCE_S = 2.0
MOST_KEPT = 200
TOP_SERVICES = 6


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit that a device is under. ``ends_at``: when it starts again.

    ``stops``: nothing passes once it is used up.
    """

    target: Target
    period: Period
    limit: int
    used: int
    ends_at: int | None
    stops: bool = True

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def share(self) -> float:
        """Used over limit, 0 to 1."""
        return min(1.0, self.used / self.limit) if self.limit else 1.0

    @property
    def level(self) -> str:
        """``reached``, ``near`` (80 % and more) or nothing: how it is coloured."""
        return "reached" if not self.left else "near" if self.share >= 0.8 else ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One device at one instant; volumes in bytes."""

    today: int
    trip: int
    gauges: tuple[Gauge, ...]
    plan_used: int
    services: tuple[tuple[str, int], ...]

    @property
    def tightest(self) -> Gauge | None:
        """The limit that leaves least."""
        return min(self.gauges, key=lambda one: (one.left, -one.share), default=None)


class Readings:
    """Readings by device, each as old as ``FRESH_S`` at most."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[str, tuple[float, asyncio.Task[Reading]]] = {}

    async def of(self, device: Device) -> Reading | None:
        """``None``: the ledger cannot be read."""
        now = self._world.monotonic()
        self._kept = {key: one for key, one in self._kept.items() if now - one[0] < FRESH_S}
        if device.id not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                return None
            task = asyncio.ensure_future(read(self._world, device))
            task.add_done_callback(_retrieved)
            self._kept[device.id] = (now, task)
        try:
            return await asyncio.shield(self._kept[device.id][1])
        except (LedgerDown, TimeoutError):
            return None


def _retrieved(task: asyncio.Task[Reading]) -> None:
    """A failure that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()


async def read(world: World, device: Device) -> Reading:
    """Raises :class:`LedgerDown`, or ``TimeoutError`` by rule 2."""
    async with asyncio.timeout(PATIENCE_S):
        return await _read(world, device)


async def _read(world: World, device: Device) -> Reading:
    book, now, trusted = world.book, world.now(), world.trusted()
    starts = period.starts(book.plan, now)
    today = usage.plan_reading(
        [device.id], starts[Period.DAY], now, [starts[Period.DAY]], starts[Period.TRIP]
    )
    pays = world.pays()
    asked = dict.fromkeys((*targets_of(device), *tallied(book), *([pays] if pays else [])))
    tallies = await world.ledger.tallies(list(asked))
    rows = usage.rows(today, await world.ledger.buckets(today.names), ("service",), {})

    def used(target: Target, which: Period) -> int:
        counter = tallies.counters.get((target, which))
        return current(counter, starts[which], trusted=trusted).used

    own = device_target(device.id)
    return Reading(
        used(own, Period.DAY),
        used(own, Period.TRIP),
        gauges(book, device, tallies, starts, trusted=trusted, pays=pays),
        used(PLAN, Period.TRIP),
        _top(rows),
    )


def gauges(
    book: Book,
    device: Device,
    tallies: Tallies,
    starts: Mapping[Period, int],
    *,
    trusted: bool,
    pays: Target | None,
) -> tuple[Gauge, ...]:
    """The limits over a device: its own, its person's, the volume of the plan that ``pays``, and
    the plan's caps where it does."""
    mine = set(targets_of(device)) - ({PLAN} if pays != PLAN else set())
    states = cap_states(book, tallies.counters, starts, trusted=trusted)
    made = [_gauge(state) for state in states if state.cap.target in mine]
    plan = in_force(book).get(pays) if pays else None
    if pays and plan and plan.volume is not None:
        counter = tallies.counters.get((pays, Period.TRIP))
        used = current(counter, plan.counted_from, trusted=True).used
        volume = max(0, plan.volume + credit(book, pays, plan.counted_from))
        made.append(Gauge(pays, Period.TRIP, volume, used, plan.expires_at))
    return tuple(made)


def _gauge(state: CapState) -> Gauge:
    cap = state.cap
    stops = cap.action == "block"
    return Gauge(cap.target, cap.period, state.limit, state.used, state.resets_at, stops)


def _top(rows: list[usage.Row]) -> tuple[tuple[str, int], ...]:
    """The services that used most; unknown ones and the rest together under ``""``."""
    named = [row for row in rows if row.keys["service"] != "unknown" and row.total]
    top, rest = named[:TOP_SERVICES], named[TOP_SERVICES:]
    other = sum(row.total for row in rows if row.keys["service"] == "unknown")
    other += sum(row.total for row in rest)
    shown = [(row.keys["service"], row.total) for row in top]
    return (*shown, ("", other)) if other else tuple(shown)
