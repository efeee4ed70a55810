"""The documents of ``--json``, made from one reading of the book and its counters.

Rules
1. Keys are the contract's; volumes are integers of bytes, unlimited is None, instants ISO 8601 UTC.
2. Each document comes from one ``Snapshot``, so that its figures belong together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from tripgate.cli.cells import instant
from tripgate.cli.store import WIRE, Store
from tripgate.core.address import preferred
from tripgate.core.book import Book, find_device, target_label
from tripgate.core.limits import cap_states, credit, current, tallied
from tripgate.core.model import (
    HOST,
    PLAN,
    Cap,
    CapState,
    Device,
    Period,
    Plan,
    Target,
    device_target,
    person_target,
)
from tripgate.core.period import BY_BOOK, starts
from tripgate.core.planbook import in_force, row
from tripgate.core.units import format_rate, format_window
from tripgate.ledger.protocol import AuditEntry, Tallies


class CapSummary(TypedDict):
    """A cap inside another document."""

    period: str
    limit: int
    used: int
    remaining: int
    resets_at: str | None
    reached: bool


Hours = TypedDict("Hours", {"except": str | None})
"""Hours that do not count, as ``--except`` takes them."""


class CapDocument(Hours):
    """A row of ``cap list``. ``given``: what of ``limit`` was given in the present period; below
    zero, lent. ``needed``: what must be given before anything passes; 0 where it passes."""

    target: str
    period: str
    limit: int
    used: int
    reserved: int
    remaining: int
    action: str
    warn: list[int]
    resets_at: str | None
    reached: bool
    given: int
    roll: bool
    needed: int


class DeviceDocument(TypedDict):
    """A row of ``device list``."""

    id: str
    name: str
    person: str | None
    state: str
    mac: str | None
    ip: str | None
    ips: list[str]
    last_seen: str | None
    used_today: int
    caps: list[CapSummary]
    owner: bool
    hostname: str | None
    vendor: str | None
    random_mac: bool | None


class PersonDocument(TypedDict):
    """A row of ``person list``."""

    name: str
    devices: list[str]
    used_today: int
    caps: list[CapSummary]


class PlanDocument(TypedDict):
    """``plan show``. ``clock``: ``trusted`` or ``untrusted``: then no day, week or month ends.
    ``pace`` is used over volume by gone over validity: above 1 is too fast."""

    volume: int | None
    used: int
    remaining: int | None
    starts_at: str | None
    expires_at: str | None
    tz: str
    step: int
    price: str | None
    pace: float | None
    per_day: int | None
    start: str
    day: str
    billing_day: int
    unit: str
    clock: str
    uplink: str | None
    valid_s: int | None


class AuditDocument(TypedDict):
    """A row of ``audit``."""

    at: str | None
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The book and its counters at one instant."""

    book: Book
    tallies: Tallies
    starts: Mapping[Period, int]
    caps: tuple[CapState, ...]
    now: int
    trusted: bool
    present: Mapping[str, Any] = field(default_factory=dict)
    router: bool = False

    def used(self, target: Target, period: Period) -> int:
        """Bytes in the present period."""
        counter = self.tallies.counters.get((target, period))
        sure = self.trusted or period in BY_BOOK
        return current(counter, self.starts[period], trusted=sure).used


async def snapshot(store: Store, now: int) -> Snapshot:
    """Read the book and the counters of everything in it."""
    _, book = await store.registry.load()
    targets = [
        *map(device_target, book.devices),
        *map(person_target, book.people),
        *dict.fromkeys((PLAN, *in_force(book))),
        *tallied(book),
    ]
    tallies = await store.ledger.tallies(targets)
    began = starts(book.plan, now)
    caps = cap_states(book, tallies.counters, began, trusted=store.trusted)
    router = store.counted == WIRE
    return Snapshot(book, tallies, began, tuple(caps), now, store.trusted, store.present, router)


def cap_document(read: Snapshot, state: CapState) -> CapDocument:
    return {
        "target": target_label(read.book, state.cap.target),
        "period": str(state.cap.period),
        "limit": state.limit,
        "used": state.used,
        "reserved": state.reserved,
        "remaining": state.remaining,
        "action": _action(state.cap),
        "warn": list(state.cap.warn),
        "resets_at": instant(state.resets_at),
        "reached": state.spent,
        "given": state.given,
        "roll": state.cap.roll,
        "except": format_window(state.cap.free) if state.cap.free else None,
        "needed": state.needed,
    }


def _action(cap: Cap) -> str:
    """As ``--at-cap`` takes it."""
    return f"{cap.action}:{format_rate(cap.rate)}" if cap.rate is not None else cap.action


def cap_documents(read: Snapshot, target: Target | None = None) -> list[CapDocument]:
    """All caps, or those on ``target``."""
    chosen = (state for state in read.caps if target is None or state.cap.target == target)
    return [cap_document(read, state) for state in chosen]


def _summaries(read: Snapshot, target: Target) -> list[CapSummary]:
    return [
        {
            "period": str(state.cap.period),
            "limit": state.limit,
            "used": state.used,
            "remaining": state.remaining,
            "resets_at": instant(state.resets_at),
            "reached": state.spent,
        }
        for state in read.caps
        if state.cap.target == target
    ]


def device_document(read: Snapshot, device: Device) -> DeviceDocument:
    """``ips`` are the addresses the gateway knows the device by; this machine has none listed."""
    live = read.present.get(device.id, {})
    known = [name.removeprefix("ip:") for name in device.identities if name.startswith("ip:")]
    ips = live.get("ips", known)
    target = device_target(device.id)
    return {
        "id": device.id,
        "name": device.name,
        "person": device.person,
        "state": str(device.state),
        "mac": device.mac,
        "ip": preferred(ips),
        "ips": ips,
        "last_seen": instant(read.tallies.seen.get(device.id)),
        "used_today": read.used(target, Period.DAY),
        "caps": _summaries(read, target),
        "owner": device.owner,
        "hostname": live.get("hostname"),
        "vendor": live.get("vendor"),
        "random_mac": live.get("random_mac"),
    }


def device_named(read: Snapshot, name: str) -> DeviceDocument:
    """Raises :class:`BookError` where no device has this name or id."""
    return device_document(read, find_device(read.book, name))


def device_documents(read: Snapshot) -> list[DeviceDocument]:
    devices = sorted(read.book.devices.values(), key=lambda device: device.name)
    return [device_document(read, device) for device in devices]


def clients(read: Snapshot) -> list[DeviceDocument]:
    """The devices for people: in router mode this machine is none, unless it uses the proxy."""
    apart = {one.id for one in read.book.devices.values() if read.router and HOST in one.identities}
    return [one for one in device_documents(read) if one["id"] not in apart or one["last_seen"]]


def person_document(read: Snapshot, name: str) -> PersonDocument:
    target = person_target(name)
    return {
        "name": name,
        "devices": sorted(d.name for d in read.book.devices.values() if d.person == name),
        "used_today": read.used(target, Period.DAY),
        "caps": _summaries(read, target),
    }


def person_documents(read: Snapshot) -> list[PersonDocument]:
    return [person_document(read, name) for name in sorted(read.book.people)]


def plan_documents(read: Snapshot) -> list[PlanDocument]:
    """The plans in force, each with those to come: nothing of these is used."""
    made = []
    for target in dict.fromkeys((PLAN, *in_force(read.book))):
        made.append(plan_document(read, target))
        made += [_plan_document(read, plan, 0) for plan in row(read.book, target)]
    return made


def plan_document(read: Snapshot, target: Target = PLAN) -> PlanDocument:
    """A plan, or what stands in for it while none is set: unlimited, UTC."""
    plan = in_force(read.book).get(target, Plan())
    counter = read.tallies.counters.get((target, Period.TRIP))
    used = current(counter, plan.counted_from, trusted=True).used
    return _plan_document(read, plan, used, credit(read.book, target, plan.counted_from))


def last_plan(read: Snapshot) -> PlanDocument:
    """The plan that was put at the end of the row."""
    return _plan_document(read, read.book.queue[-1], 0)


def _plan_document(read: Snapshot, plan: Plan, used: int, given: int = 0) -> PlanDocument:
    remaining = None if plan.volume is None else max(0, plan.volume + given - used)
    return {
        "volume": plan.volume,
        "used": used,
        "remaining": remaining,
        "starts_at": instant(plan.starts_at),
        "expires_at": instant(plan.expires_at),
        "tz": plan.tz,
        "step": plan.step,
        "price": plan.price,
        "pace": _pace(plan, used, read.now),
        "per_day": _per_day(plan, remaining, read.now),
        "start": plan.start,
        "day": plan.day,
        "billing_day": plan.billing_day,
        "unit": plan.unit,
        "clock": "trusted" if read.trusted else "untrusted",
        "uplink": plan.uplink,
        "valid_s": plan.valid_s,
    }


def _pace(plan: Plan, used: int, now: int) -> float | None:
    """Used share over elapsed share; None without a volume, a validity or a minute of trip."""
    if not plan.volume or not plan.valid_s or plan.starts_at is None:
        return None
    elapsed = min(now - plan.starts_at, plan.valid_s)
    if elapsed < 60:
        return None
    return round((used / plan.volume) / (elapsed / plan.valid_s), 3)


def _per_day(plan: Plan, remaining: int | None, now: int) -> int | None:
    """Bytes a day that what is left allows until the plan expires; None where that is open."""
    if remaining is None or plan.expires_at is None or plan.expires_at <= now:
        return None
    return min(remaining, remaining * 86400 // (plan.expires_at - now))


def audit_document(entry: AuditEntry) -> AuditDocument:
    return {
        "at": instant(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "detail": entry.detail,
    }
