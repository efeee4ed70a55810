"""Where counted bytes are kept: bucket names and fields, and how they are read again.

Rules
1. A bucket is a named map of field to bytes. ``life`` and ``trip`` stay (the latter is named by
   the trip's start and expires with the days); the others expire by themselves.
2. Fields are short, for there are a million of them in a year: ``cSERVICE|u`` and ``…|d`` (bytes up
   and down; ``c`` is the letter of the category, ``SERVICE`` is left out where unknown) and
   ``overhead``; in ``minute`` letter and minute of the block (``v7u``), in ``hosts`` the host name
   with ``|u``/``|d``.
3. Names: ``use:DEVICE:LEVEL[:START]``, START being the epoch second at which the bucket begins. A
   day begins at midnight of the plan's zone; hours and ten-minute blocks are UTC.
4. 50 devices and a year fit into ``MOST_MEMORY`` of Redis (``tests/ledger/test_memory.py`` says of
   which use); ``MOST_HOSTS`` and ``HOST_FIELD`` are chosen for that.
5. A reading rounds ``since`` down to the grid of the finest level that still exists there, and
   says so: it carries the instant that was used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tripgate.core.classify import UNKNOWN, Service
from tripgate.core.model import Period

HOUR_S, DAY_S, BLOCK_S = 3600, 86_400, 600
KEEP_MINUTES_S = 2 * DAY_S
KEEP_HOURS_S = 60 * DAY_S
KEEP_DAYS_S = 2 * 366 * DAY_S
KEEP_HOSTS_S = 60 * DAY_S
MOST_HOSTS = 32
MOST_SERVICES = 512
HOST_FIELD = 48
MOST_MEMORY = 64 * 1024 * 1024

OVERHEAD = "overhead"
OTHER = "other"

LETTERS = {
    "os-update": "u", "app-store": "a", "cloud-sync": "c", "telemetry": "t", "video": "v",
    "games": "g", "connectivity-check": "k", "essential": "e", "unknown": "-",
    "browser": "b", "backup": "B", "ads": "A", "music": "m", "social": "s", "chat": "h",
    "meetings": "M", "email": "l", "maps": "p", "ai": "i", "news": "n", "shopping": "S",
    "travel": "T", "finance": "f", "dev": "d", "vpn": "V", "dns": "D", "smart-home": "H",
    "security": "y", "cdn": "C",
}  # fmt: skip
"""The letter of each category in the fields, never given to another one; ``o`` is ``OTHER``'s."""

_CATEGORIES = {letter: category for category, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Increment:
    """Add ``amount`` bytes to ``field`` of ``bucket``; ``ttl`` (s) is set when it is new.

    ``most`` bounds the number of fields: past it the bytes go to the field ``other|u``/``other|d``.
    The largest ``most`` that one call names for a bucket is its bound.
    """

    bucket: str
    field: str
    amount: int
    ttl: int | None = None
    most: int | None = None


def increments(
    device: str,
    service: Service,
    host: str | None,
    up: int,
    down: int,
    now: int,
    starts: Mapping[Period, int],
    overhead: int = 0,
) -> tuple[Increment, ...]:
    """All buckets that one device's bytes of one host go to. ``now``: epoch seconds."""
    made: list[Increment] = []
    for mark, volume in (("u", up), ("d", down)):
        if volume:
            made += _direction(device, service, host, mark, volume, now, starts)
    if overhead:
        made += [
            Increment(name, OVERHEAD, overhead, ttl) for name, ttl in _totals(device, now, starts)
        ]
    return tuple(made)


def _totals(
    device: str, now: int, starts: Mapping[Period, int]
) -> tuple[tuple[str, int | None], ...]:
    return (
        (f"use:{device}:life", None),
        (f"use:{device}:trip:{starts[Period.TRIP]}", KEEP_DAYS_S),
        (f"use:{device}:day:{starts[Period.DAY]}", KEEP_DAYS_S),
    )


def _direction(
    device: str,
    service: Service,
    host: str | None,
    mark: str,
    volume: int,
    now: int,
    starts: Mapping[Period, int],
) -> list[Increment]:
    letter = LETTERS[service.category]
    name = f"{letter}{'' if service.name == UNKNOWN.name else service.name}|{mark}"
    made = [
        Increment(bucket, name, volume, ttl, MOST_SERVICES)
        for bucket, ttl in _totals(device, now, starts)
    ]
    hour, block = now // HOUR_S * HOUR_S, now // BLOCK_S * BLOCK_S
    made.append(Increment(f"use:{device}:hour:{hour}", name, volume, KEEP_HOURS_S, MOST_SERVICES))
    minute = f"{letter}{now % BLOCK_S // 60}{mark}"
    made.append(Increment(f"use:{device}:minute:{block}", minute, volume, KEEP_MINUTES_S))
    known = (host or "unknown")[-HOST_FIELD:]
    hosts = f"use:{device}:hosts:{starts[Period.DAY]}"
    made.append(Increment(hosts, f"{known}|{mark}", volume, KEEP_HOSTS_S, 2 * MOST_HOSTS))
    return made


# -- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """Which buckets answer a question, and from when on they count.

    ``names`` are bucket names in order; ``devices`` says whose each one is.
    """

    since: int
    names: tuple[str, ...]
    devices: tuple[str, ...]


@dataclass(slots=True)
class Row:
    """One line of an answer; ``keys`` by dimension."""

    keys: dict[str, str]
    up: int = 0
    down: int = 0
    overhead: int = field(default=0)

    @property
    def total(self) -> int:
        return self.up + self.down


def plan_reading(
    devices: Sequence[str],
    since: int | None,
    until: int,
    day_starts: Sequence[int],
    trip_start: int,
    *,
    hosts: bool = False,
) -> Reading:
    """Choose buckets for ``since``..``until`` (epoch seconds; ``None``: since ever).

    ``day_starts``: when the days of the asked stretch began, ascending (the first at or before
    ``since``). Host names are kept by day only.
    """
    if hosts:
        begun = day_starts[0] if day_starts else until
        return _reading(devices, [f"hosts:{start}" for start in day_starts], begun)
    if since is None:
        return _reading(devices, ["life"], 0)
    if since == trip_start:
        return _reading(devices, [f"trip:{trip_start}"], since)
    if until - since > KEEP_HOURS_S or since in day_starts:
        days = [start for start in day_starts if start <= until]
        return _reading(devices, [f"day:{start}" for start in days], days[0] if days else until)
    begun = since // HOUR_S * HOUR_S
    return _reading(devices, [f"hour:{at}" for at in range(begun, until + 1, HOUR_S)], begun)


def _reading(devices: Sequence[str], levels: Sequence[str], since: int) -> Reading:
    names = [(f"use:{device}:{level}", device) for device in devices for level in levels]
    return Reading(since, tuple(name for name, _ in names), tuple(device for _, device in names))


def hours_reading(devices: Sequence[str], since: int, until: int) -> Reading:
    """The hours of a stretch, one by one."""
    begun = since // HOUR_S * HOUR_S
    return _reading(devices, [f"hour:{at}" for at in range(begun, until, HOUR_S)], begun)


def services(bucket: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    """Service, category and bytes of each field of a bucket."""
    for name, volume in bucket.items():
        if name != OVERHEAD:
            yield *_service(name.rpartition("|")[0]), volume


def rows(
    reading: Reading,
    buckets: Iterable[Mapping[str, int]],
    by: Sequence[str],
    people: Mapping[str, str],
) -> list[Row]:
    """Sum buckets by the dimensions ``by`` (device, person, category, service, host).

    ``people``: the person of each device that has one. Largest first.
    """
    found: dict[tuple[str, ...], Row] = {}
    for device, bucket in zip(reading.devices, buckets, strict=True):
        for name, volume in bucket.items():
            keys = _keys(device, name, people)
            key = tuple(keys[dimension] for dimension in by)
            row = found.setdefault(key, Row(dict(zip(by, key, strict=True))))
            if name == OVERHEAD:
                row.overhead += volume
            elif name.endswith("|u"):
                row.up += volume
            else:
                row.down += volume
    return sorted(found.values(), key=lambda row: (-row.total, *row.keys.values()))


def _keys(device: str, name: str, people: Mapping[str, str]) -> dict[str, str]:
    first, _, _ = name.rpartition("|")
    service, category = _service(first)
    return {
        "service": service, "category": category,
        "device": device, "person": people.get(device, ""),
        "host": first or UNKNOWN.name,
    }  # fmt: skip


def _service(text: str) -> tuple[str, str]:
    """Service and category of a field; both unknown for ``overhead`` and what a full bucket holds
    together as ``other``."""
    if text in ("", OTHER):
        return UNKNOWN.name, UNKNOWN.category
    return text[1:] or UNKNOWN.name, _CATEGORIES.get(text[0], UNKNOWN.category)
