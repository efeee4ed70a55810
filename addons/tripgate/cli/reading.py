"""From a question (``--by``, ``--for``, ``--since``) to the document of ``usage``.

Rules
1. A question is checked before the ledger is asked.
2. ``since`` is a duration back from now, an instant, or a period's name (its present start; of
   ``once``, the beginning of the target's cap). Without it: the plan's start, else everything
   since the first device was seen.
3. Days are those of the plan's zone, at most as many as the ledger keeps.
4. Hosts are kept by device and day only, so ``host`` goes with ``device`` and ``person``, and
   counts from the beginning of a day, whatever was asked.
5. A device or person that used nothing has a row too, so that scripts find it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import typer

from tripgate.cli.cells import instant
from tripgate.cli.store import Store
from tripgate.cli.when import FORMS, parse_instant
from tripgate.core import usage
from tripgate.core.book import Book, BookError, parse_target, target_label
from tripgate.core.model import FORGOTTEN, NOBODYS, PLAN, Device, DeviceState, Kind, Period, Plan
from tripgate.core.period import ends, starts
from tripgate.core.units import DURATION_FORMS, parse_duration

DIMENSIONS = ("device", "person", "category", "service", "host")
WHOLE = {"device", "person"}
PERIODS = tuple(map(str, Period))


class UsageDocument(TypedDict):
    """``usage``. Rows have the keys of ``by``, then ``up``, ``down``, ``total`` in bytes.

    ``overhead``: bytes of header that are reported, not charged; None where hosts were asked.
    ``left_out``: bytes in rows that only ``--all`` shows.
    """

    since: str | None
    until: str | None
    by: list[str]
    kind: str
    rows: list[dict[str, Any]]
    total: int
    overhead: int | None
    left_out: int


@dataclass(frozen=True, slots=True)
class Question:
    """What ``usage`` was asked. ``everything`` adds the rows that are no device's."""

    by: tuple[str, ...]
    target: str | None = None
    since: str | None = None
    everything: bool = False


def parse_by(text: str) -> tuple[str, ...]:
    """``device,service``: each dimension once."""
    by = tuple(text.split(",", len(DIMENSIONS)))
    if not set(by) <= set(DIMENSIONS) or len(set(by)) != len(by):
        raise ValueError(f"{text[:40]!r} is no list of dimensions: {', '.join(DIMENSIONS)}")
    if "host" in by and not set(by) <= {*WHOLE, "host"}:
        raise ValueError("host goes with device and person only: hosts are kept by device")
    return by


def parse_since(text: str) -> str:
    """Checked, and kept as written: an instant without a zone needs the plan's."""
    if text in PERIODS or _duration(text) is not None:
        return text
    try:
        parse_instant(text, "UTC")
    except ValueError:
        forms = f"{', '.join(PERIODS)}, {DURATION_FORMS}, {FORMS}"
        raise ValueError(f"{text[:40]!r} is no time to count from: {forms}") from None
    return text


async def answer(store: Store, question: Question, now: int) -> UsageDocument:
    """Ask the ledger. Raises ``BookError`` for an unknown target."""
    _, book = await store.registry.load()
    devices = _devices(book, question.target)
    since = since_of(book, question.target, question.since, now)
    reading = _plan(book, devices, since, now, hosts="host" in question.by)
    buckets = await store.ledger.buckets(reading.names)
    people = {device.id: device.person for device in devices if device.person}
    found = usage.rows(reading, buckets, question.by, people)
    first = min((device.created_at for device in devices), default=now)
    begun = reading.since
    if question.since is None:
        begun = max(begun, first if "host" in question.by else since or first)
    rows = _documents(book, question, found, devices)
    others: list[dict[str, Any]] = []
    if question.everything or question.target in (None, "plan"):
        others = await _nobodys(store, book, question.by, since, now)
    if question.everything:
        rows += others
    return {
        "since": instant(begun),
        "until": instant(now),
        "by": list(question.by),
        "kind": store.counted,
        "rows": rows,
        "total": sum(row["total"] for row in rows),
        "overhead": None if "host" in question.by else sum(row.overhead for row in found),
        "left_out": 0 if question.everything else sum(row["total"] for row in others),
    }


async def _nobodys(
    store: Store, book: Book, by: Sequence[str], since: int | None, now: int
) -> list[dict[str, Any]]:
    """Rows for the box itself, for packets of nobody and, where they used something, for devices
    that were forgotten, whatever was asked by."""
    owners = [Device(name, name, DeviceState.BLOCKED) for name in (*NOBODYS, FORGOTTEN)]
    reading = _plan(book, owners, since, now, hosts=False)
    buckets = await store.ledger.buckets(reading.names)
    found = usage.rows(reading, buckets, ("device",), {})
    used = {row.keys["device"]: row for row in found}
    first, *rest = by
    made = []
    for name in (*NOBODYS, FORGOTTEN):
        row = used.get(name) or usage.Row({})
        if name == FORGOTTEN and not row.total:
            continue
        keys = {first: name, **({"id": None} if first == "device" else {})}
        volumes = {"up": row.up, "down": row.down, "total": row.total}
        made.append({**keys, **dict.fromkeys(rest), **volumes})
    return made


def _duration(text: str) -> int | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None


def _devices(book: Book, target: str | None) -> list[Device]:
    """Whose bytes count."""
    everyone = list(book.devices.values())
    aim = parse_target(book, target) if target is not None else None
    if aim is None or aim.kind is Kind.PLAN:
        return everyone
    if aim.kind is Kind.DEVICE:
        return [book.devices[aim.key]]
    return [device for device in everyone if device.person == aim.key]


def devices_of(book: Book, target: str | None) -> list[str]:
    """Whose bytes count, by id. Raises ``BookError``."""
    return [device.id for device in _devices(book, target)]


def since_of(book: Book, target: str | None, text: str | None, now: int) -> int | None:
    """What ``--since`` means, in UTC epoch seconds; None: since ever."""
    plan = book.plan or Plan()
    if text is None or text == Period.TRIP:
        return plan.counted_from or None
    if text == Period.ONCE:
        return _once(book, target)
    if text in PERIODS:
        return starts(plan, now)[Period(text)]
    length = _duration(text)
    since = now - length if length is not None else parse_instant(text, plan.tz)
    if since > now:
        raise typer.BadParameter("lies in the future", param_hint="--since")
    return since


def _once(book: Book, target: str | None) -> int:
    """When the target's ``once`` cap began."""
    aim = parse_target(book, target) if target is not None else PLAN
    cap = book.caps.get((aim, Period.ONCE))
    if cap is None:
        label = target_label(book, aim)
        raise BookError(f"{label} has no cap of VOLUME/once to count from: `tripgate cap list`")
    return cap.created_at


def _plan(
    book: Book, devices: Sequence[Device], since: int | None, now: int, *, hosts: bool
) -> usage.Reading:
    keep = usage.KEEP_HOSTS_S if hosts else usage.KEEP_DAYS_S
    oldest = max(since or 0, now - keep)
    names = [device.id for device in devices]
    trip = starts(book.plan, now)[Period.TRIP]
    return usage.plan_reading(names, since, now, _days(book.plan, oldest, now), trip, hosts=hosts)


def _days(plan: Plan | None, since: int, until: int) -> list[int]:
    """When the days from ``since`` to ``until`` began; the first contains ``since``."""
    found = [starts(plan, since)[Period.DAY]]
    while (end := ends(Period.DAY, plan, found[-1])) is not None and end <= until:
        found.append(end)
    return found


def _documents(
    book: Book, question: Question, found: Iterable[usage.Row], devices: Sequence[Device]
) -> list[dict[str, Any]]:
    rows = [_document(book, row) for row in found if row.total or WHOLE.issuperset(question.by)]
    if question.by in (("device",), ("person",)):
        rows += [_document(book, row) for row in _idle(question.by[0], rows, devices)]
    return rows


def _document(book: Book, row: usage.Row) -> dict[str, Any]:
    keys: dict[str, str | None] = {}
    for dimension, key in row.keys.items():
        if dimension == "device":
            keys |= {"device": book.devices[key].name, "id": key}
        else:
            keys[dimension] = key or None
    return {**keys, "up": row.up, "down": row.down, "total": row.total}


def _idle(
    dimension: str, rows: Sequence[dict[str, Any]], devices: Sequence[Device]
) -> list[usage.Row]:
    """Rows of those that used nothing."""
    if dimension == "device":
        missing = {device.id for device in devices} - {row["id"] for row in rows}
    else:
        owners = {device.person or "" for device in devices}
        missing = owners - {row["person"] or "" for row in rows}
    return [usage.Row({dimension: key}) for key in sorted(missing)]
