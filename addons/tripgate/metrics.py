"""Prometheus metrics: one table of families, read from one frozen reading of the gateway.

Rules
1. Nothing is counted here: whoever has the state makes a :class:`Reading`, and all values of one
   exposition come from the same one. The registry is the caller's; there is no global.
2. Label values are bounded, clean and tell no address (:mod:`tripgate.core.labels`).
3. What nobody knows is absent, not 0: a plan without a volume has no limit. What has simply not
   happened yet is 0, so that its first time is seen as an increase.
4. Counters count from the start of the process, gauges of caps and plan are the ledger's.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tripgate.core.book import Book
from tripgate.core.classify import CATEGORIES, UNKNOWN
from tripgate.core.labels import MOST_DEVICES, OTHER, Labels, clean
from tripgate.core.model import CapState, DeviceState, Kind, Period, Plan, Target

DIRECTIONS = ("up", "down")
USED_FOR = (*sorted(CATEGORIES), UNKNOWN.category)
VERDICTS = (
    "allow", "unreachable", "refuse-pending", "refuse-blocked", "refuse-cap", "refuse-ledger",
    "refuse-destination", "refuse-request", "refuse-client", "refuse-crowd", "refuse-silent",
)  # fmt: skip
CUTS = ("cap", "ledger", "device")
CALLS = (("grant", "ok"), ("grant", "stale"), ("grant", "error"), ("settle", "ok"),
         ("settle", "error"))  # fmt: skip


class Both(NamedTuple):
    """Bytes in the two directions."""

    up: int = 0
    down: int = 0


NOTHING = Both()


@dataclass(frozen=True, slots=True)
class Reading:
    """The gateway's state at one instant. Bytes and numbers are totals since the start.

    ``traffic``: bytes by (device id, category, ``up``/``down``); ``drains``: by (device id,
    service); ``flows``: open connections by state; ``calls``: by (call, result). ``exhausts_at``
    (epoch seconds) is ``None`` while there is no forecast.
    """

    version: str
    mode: str
    book: Book
    caps: tuple[CapState, ...] = ()
    warned: Mapping[tuple[Target, Period], int] = field(default_factory=dict)
    plan_used: int | None = None
    exhausts_at: int | None = None
    traffic: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    uplink: Both = NOTHING
    gateway: Both = NOTHING
    unattributed: Both = NOTHING
    drains: Mapping[tuple[str, str], int] = field(default_factory=dict)
    flows: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    cuts: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[tuple[str, str], int] = field(default_factory=dict)
    overrun: int = 0
    fail_open: int = 0
    ledger_up: bool = False
    clock_trusted: bool = False

    @property
    def plan(self) -> Plan:
        return self.book.plan or Plan()


# -- the families ------------------------------------------------------------------------------

Row = tuple[tuple[str, ...], float]


class Family(NamedTuple):
    """One metric family: its name as exposed, type, help, labels, and where its rows come from."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    rows: Callable[[Reading, Labels], Iterable[Row]]


def _one(value: float | None) -> Iterator[Row]:
    if value is not None:
        yield (), value


def _both(value: Both) -> Iterator[Row]:
    yield from (((way,), volume) for way, volume in zip(DIRECTIONS, value, strict=True))


def _zeros(known: Iterable[str], counted: Mapping[str, int]) -> Iterator[Row]:
    yield from (((key,), volume) for key, volume in {**dict.fromkeys(known, 0), **counted}.items())


def _person(book: Book, device_id: str) -> str:
    device = book.devices.get(device_id)
    return clean(device.person) if device and device.person else ""


def _traffic(now: Reading, names: Labels) -> Iterator[Row]:
    sums: Counter[tuple[str, ...]] = Counter()
    for (device_id, category, way), volume in {**_idle(now.book), **now.traffic}.items():
        device = names.device(device_id)
        person = "" if device == OTHER else _person(now.book, device_id)
        sums[device, person, clean(category), way] += volume
    yield from sums.items()


def _idle(book: Book) -> dict[tuple[str, str, str], int]:
    """A zero for all that an approved device may do: its first bytes are an increase too."""
    approved = [one.id for one in book.devices.values() if one.state is DeviceState.APPROVED]
    return dict.fromkeys(itertools.product(approved, USED_FOR, DIRECTIONS), 0)


def _devices(now: Reading, _: Labels) -> Iterator[Row]:
    for device in list(now.book.devices.values())[:MOST_DEVICES]:
        name = clean(device.name, instead=device.id)
        yield (clean(device.id), name, _person(now.book, device.id), str(device.state)), 1


def _caps(value: Callable[[CapState], float]) -> Callable[[Reading, Labels], Iterator[Row]]:
    def rows(now: Reading, _: Labels) -> Iterator[Row]:
        yield from ((_cap_labels(state), value(state)) for state in now.caps)

    return rows


def _cap_labels(state: CapState) -> tuple[str, ...]:
    target = state.cap.target
    key = str(Kind.PLAN) if target.kind is Kind.PLAN else clean(target.key)
    return str(target.kind), key, str(state.cap.period)


def _warned(now: Reading, _: Labels) -> Iterator[Row]:
    for state in now.caps:
        yield _cap_labels(state), now.warned.get((state.cap.target, state.cap.period), 0)


def _drains(now: Reading, names: Labels) -> Iterator[Row]:
    sums: Counter[tuple[str, ...]] = Counter()
    for (device, service), volume in now.drains.items():
        sums[names.device(device), names.service(service)] += volume
    yield from sums.items()


def _calls(now: Reading, _: Labels) -> Iterator[Row]:
    yield from {**dict.fromkeys(CALLS, 0), **now.calls}.items()


_CAP = ("scope", "target", "period")

FAMILIES = (
    Family(
        "tripgate_traffic_bytes_total",
        "counter",
        "Bytes charged to devices, by category and direction.",
        ("device", "person", "category", "direction"),
        _traffic,
    ),
    Family(
        "tripgate_uplink_bytes_total",
        "counter",
        "Bytes on the uplink: of the interface in router mode, of upstream sockets in explicit "
        "mode.",
        ("direction",),
        lambda now, _: _both(now.uplink),
    ),
    Family(
        "tripgate_gateway_bytes_total",
        "counter",
        "Bytes on the uplink that are the gateway's own.",
        ("direction",),
        lambda now, _: _both(now.gateway),
    ),
    Family(
        "tripgate_unattributed_bytes_total",
        "counter",
        "Bytes on the uplink that have no owner; they are charged to the plan.",
        ("direction",),
        lambda now, _: _both(now.unattributed),
    ),
    Family(
        "tripgate_device_info",
        "info",
        "Devices in the book: name, person and state of each id.",
        ("device", "name", "person", "state"),
        _devices,
    ),
    Family(
        "tripgate_cap_limit_bytes",
        "gauge",
        "Volume of a cap in its period.",
        _CAP,
        _caps(lambda state: state.cap.limit),
    ),
    Family(
        "tripgate_cap_used_bytes",
        "gauge",
        "Bytes used of a cap in the present period.",
        _CAP,
        _caps(lambda state: state.used),
    ),
    Family(
        "tripgate_cap_reached",
        "gauge",
        "1 when a cap is used up.",
        _CAP,
        _caps(lambda state: state.spent),
    ),
    Family(
        "tripgate_cap_warned_percent",
        "gauge",
        "The highest warn level of a cap that was passed in the present period, or 0.",
        _CAP,
        _warned,
    ),
    Family(
        "tripgate_plan_limit_bytes",
        "gauge",
        "Volume of the plan; absent when it is unlimited.",
        (),
        lambda now, _: _one(now.plan.volume),
    ),
    Family(
        "tripgate_plan_used_bytes",
        "gauge",
        "Bytes used of the plan: devices, gateway and unattributed.",
        (),
        lambda now, _: _one(now.plan_used),
    ),
    Family(
        "tripgate_plan_expires_timestamp_seconds",
        "gauge",
        "When the plan ends; absent while that is open.",
        (),
        lambda now, _: _one(now.plan.expires_at),
    ),
    Family(
        "tripgate_plan_exhaustion_timestamp_seconds",
        "gauge",
        "When the plan's volume will be used up at the present pace; absent while unknown.",
        (),
        lambda now, _: _one(now.exhausts_at),
    ),
    Family(
        "tripgate_flows",
        "gauge",
        "Open connections: of clients to the gateway, and metered ones upstream.",
        ("state",),
        lambda now, _: _zeros(("client", "upstream"), now.flows),
    ),
    Family(
        "tripgate_flows_total",
        "counter",
        "Connections decided on, by verdict.",
        ("verdict",),
        lambda now, _: _zeros(VERDICTS, now.verdicts),
    ),
    Family(
        "tripgate_flows_cut_total",
        "counter",
        "Connections ended in mid-flow, by reason.",
        ("reason",),
        lambda now, _: _zeros(CUTS, now.cuts),
    ),
    Family(
        "tripgate_drain_bytes_total",
        "counter",
        "Bytes of background use that nobody asked for.",
        ("device", "service"),
        _drains,
    ),
    Family(
        "tripgate_ledger_up",
        "gauge",
        "1 while the ledger answers.",
        (),
        lambda now, _: _one(now.ledger_up),
    ),
    Family(
        "tripgate_ledger_calls_total", "counter", "Calls to the ledger.", ("call", "result"), _calls
    ),
    Family(
        "tripgate_lease_overrun_bytes_total",
        "counter",
        "Bytes that moved beyond what was granted.",
        (),
        lambda now, _: _one(now.overrun),
    ),
    Family(
        "tripgate_fail_open_bytes_total",
        "counter",
        "Bytes let through without a lease by a policy that says so.",
        (),
        lambda now, _: _one(now.fail_open),
    ),
    Family(
        "tripgate_clock_trusted",
        "gauge",
        "1 while periods may turn by the clock.",
        (),
        lambda now, _: _one(now.clock_trusted),
    ),
    Family(
        "tripgate_build_info",
        "info",
        "The version and mode of the gateway.",
        ("version", "mode"),
        lambda now, _: iter([((now.version, now.mode), 1)]),
    ),
)


# -- exposition --------------------------------------------------------------------------------


class StateCollector:
    """All families of the last reading that it was given; none before the first."""

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self._names = Labels()

    def collect(self) -> Iterator[Metric]:
        now = self.reading
        if now is not None:
            yield from (_metric(family, now, self._names) for family in FAMILIES)


def _metric(family: Family, now: Reading, names: Labels) -> Metric:
    suffix = {"counter": "_total", "info": "_info"}.get(family.kind, "")
    metric = Metric(family.name.removesuffix(suffix), family.text, family.kind)
    for values, number in family.rows(now, names):
        metric.add_sample(family.name, dict(zip(family.labels, values, strict=True)), number)
    return metric


def make_registry(collector: StateCollector) -> CollectorRegistry:
    """A registry with the gateway's families and the process's own (CPU, memory, files)."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def create_app(read: Callable[[], Awaitable[Reading]]) -> Starlette:
    """``GET /metrics`` in the format that the scraper prefers (text 0.0.4 or OpenMetrics).

    The text is made in a thread: hundreds of series must not hold up the gateway's loop.
    """
    collector = StateCollector()
    registry = make_registry(collector)
    turn = asyncio.Lock()

    async def metrics(request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        async with turn:
            collector.reading = await read()
            body = await asyncio.to_thread(encode, registry)
        return Response(body, headers={"content-type": kind})

    return Starlette(routes=[Route("/metrics", metrics)])
