"""The book as text: strict JSON both ways.

Rules
1. What is read was written by this program or is refused: unknown keys, wrong types and broken
   references are errors, never guesses.
2. The schema's version is inside; a newer one is not read. An older one gets what it lacks: the
   defaults of the new fields.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tripgate.core import marks, statement
from tripgate.core.book import EMPTY, Book, BookError
from tripgate.core.messages import Channel, Messages, Told, checked
from tripgate.core.model import (
    PLAN,
    Cap,
    Credit,
    Device,
    DeviceState,
    Kind,
    Login,
    Period,
    Person,
    Plan,
    Request,
    Target,
    Warned,
    device_target,
    person_target,
)
from tripgate.core.policy import Policy, Verb

T = TypeVar("T")

SCHEMA = 4
MOST_BYTES = 1024 * 1024


class NewerBook(BookError):
    """The book was written by a newer tripgate."""


def dump(book: Book) -> str:
    """The book as JSON; :func:`load` gives it back."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "devices": [asdict(device) for device in book.devices.values()],
        "people": [asdict(person) for person in book.people.values()],
        "caps": [asdict(cap) for cap in book.caps.values()],
        "plan": asdict(book.plan) if book.plan else None,
        "policies": [asdict(policy) for policy in book.policies],
        "credits": [asdict(credit) for credit in book.credits],
        "requests": [asdict(request) for request in book.requests],
        "warned": [asdict(one) for one in book.warned],
        "queue": [asdict(plan) for plan in book.queue],
        "unmetered": list(book.unmetered),
        "last_slot": book.last_slot,
        "login": asdict(book.login) if book.login else None,
        "uplink_plans": [asdict(plan) for plan in book.uplink_plans],
        "statements": [statement.dump(one) for one in book.statements],
        "messages": asdict(book.messages),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True)


def load(text: str) -> Book:
    """Read what :func:`dump` wrote. Raises :class:`BookError`, :class:`NewerBook`."""
    if not text:
        return EMPTY
    try:
        if len(text) > MOST_BYTES:
            raise ValueError("too large")
        return _book(json.loads(text))
    except NewerBook:
        raise
    except (ValueError, TypeError, KeyError, OSError, RecursionError) as error:
        raise BookError(f"the stored settings are damaged ({error}): restore a backup") from error


def _book(document: Any) -> Book:
    if document["schema"] > SCHEMA:
        raise NewerBook("the settings were written by a newer tripgate: use that version")
    if document["schema"] < SCHEMA:
        document = _upgraded(document)
    if set(document) != {
        "schema", "devices", "people", "caps", "plan", "policies", "credits", "requests", "queue",
        "warned", "unmetered", "last_slot", "login", "uplink_plans", "statements", "messages",
    }:  # fmt: skip
        raise ValueError("other keys than expected")
    devices = [_device(one) for one in document["devices"]]
    people = [Person(**_checked(Person, one)) for one in document["people"]]
    caps = [_cap(one) for one in document["caps"]]
    plan = _plan(document["plan"]) if document["plan"] else None
    book = Book(
        {one.id: one for one in devices},
        {one.name: one for one in people},
        {(one.target, one.period): one for one in caps},
        plan,
        tuple(_policy(one) for one in document["policies"]),
        tuple(_credit(one) for one in document["credits"]),
        tuple(Request(**_targeted(Request, one)) for one in document["requests"]),
        tuple(_warned(one) for one in document["warned"]),
        tuple(_plan(one) for one in document["queue"]),
        _all_of(str, document["unmetered"]),
        _slot(document["last_slot"]),
        tuple(_plan(one) for one in document["uplink_plans"]),
        Login(**_checked(Login, document["login"])) if document["login"] else None,
        statement.load_all(document["statements"]),
        _messages(document["messages"]),
    )
    for one in (plan, *book.queue, *book.uplink_plans):
        ZoneInfo(one.tz if one else "UTC")
    for fault, found in _faults(book, devices):
        if found:
            raise ValueError(fault)
    return book


def _faults(book: Book, devices: Sequence[Device]) -> Iterator[tuple[str, bool]]:
    """What the parts must be to each other, and whether they are not."""
    identities = [identity for one in devices for identity in one.identities]
    slots = {one.slot for one in devices if marks.FIRST <= one.slot <= marks.LAST}
    owners = {one.person for one in devices} - {None}
    targets = {*map(device_target, book.devices), *map(person_target, book.people), PLAN}
    yield "one id is two devices'", len(book.devices) != len(devices)
    yield "one identity is two devices'", len(set(identities)) != len(identities)
    yield "a slot is out of range or two devices'", len(slots) != len(devices)
    yield "a device is of a person who is not there", not owners <= book.people.keys()
    own = [one.uplink for one in book.uplink_plans]
    yield "a plan of an uplink has none, or one that another has", len({*own} - {None}) != len(own)
    yield "a cap is on nobody", not {target for target, _ in book.caps} <= targets


def _upgraded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 1 had no policies, credits, requests and next plans, and caps that only block; schema
    2 had no plans of uplinks, and its first books lacked some fields; schema 3 had no changes of
    zone, statements and messages."""
    cap = {"rate": None, "roll": False, "free": None}
    plan = {"uplink": None, "counts_from": None, "carried": None}
    lists = (
        *("policies", "credits", "requests", "warned", "queue", "unmetered"),
        *("uplink_plans", "statements"),
    )
    untold: dict[str, Any] = {"channels": [], "told": []}
    empty = {"last_slot": 0, "login": None, "messages": untold}
    new: dict[str, Any] = {**{key: [] for key in lists}, **empty, **document}
    defaults: Mapping[str, Mapping[str, Any]] = {
        "caps": cap,
        "queue": plan,
        "uplink_plans": plan,
        "credits": {"replaced": []},
        "devices": {"proxy_secret": None},
    }
    for key, values in defaults.items():
        new[key] = [{**values, **one} for one in new[key]]
    new["plan"] = {**plan, **new["plan"]} if new["plan"] else None
    return new


def _messages(raw: Any) -> Messages:
    parts = _checked(Messages, raw)
    channels = tuple(Channel(**_checked(Channel, one)) for one in parts["channels"])
    told = tuple(Told(**_checked(Told, one)) for one in parts["told"])
    return checked(Messages(channels, told))


def _plan(raw: Mapping[str, Any]) -> Plan:
    values = _checked(Plan, raw)
    if values["carried"] is not None:
        at, day, week, month = _all_of(int, values["carried"])
        values["carried"] = (at, day, week, month)
    return Plan(**values)


def _device(raw: Mapping[str, Any]) -> Device:
    values = _checked(Device, raw)
    values["state"] = DeviceState(values["state"])
    values["identities"] = _all_of(str, values["identities"])
    return Device(**values)


def _slot(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= marks.LAST:
        raise ValueError("a slot is out of range")
    return value


def _cap(raw: Mapping[str, Any]) -> Cap:
    values = _targeted(Cap, raw)
    values["period"] = Period(values["period"])
    values["warn"] = _all_of(int, values["warn"])
    if values["limit"] < 0:
        raise ValueError("a limit is negative")
    values["free"] = _window(values["free"])
    return Cap(**values)


def _credit(raw: Mapping[str, Any]) -> Credit:
    values = _targeted(Credit, raw)
    values["replaced"] = tuple(map(Period, values["replaced"]))
    return Credit(**values)


def _all_of(kind: type[T], values: Iterable[Any]) -> tuple[T, ...]:
    found = tuple(values)
    if not all(type(one) is kind for one in found):
        raise ValueError("a list holds something else than it should")
    return found


def _policy(raw: Mapping[str, Any]) -> Policy:
    values = _targeted(Policy, raw)
    values["verb"] = Verb(values["verb"])
    values["daily"] = _window(values["daily"])
    return Policy(**values)


def _warned(raw: Mapping[str, Any]) -> Warned:
    values = _targeted(Warned, raw)
    values["period"] = Period(values["period"])
    return Warned(**values)


def _targeted(kind: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    values = _checked(kind, raw)
    target = values["target"]
    values["target"] = Target(Kind(target["kind"]), target["key"])
    return values


def _window(raw: Any) -> tuple[int, int] | None:
    if raw is None:
        return None
    begin, end = raw
    if not all(type(minute) is int and 0 <= minute < 1440 for minute in raw):
        raise ValueError("a window is two minutes of the day")
    return begin, end


_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "int | None": (int, type(None)),
    "str | None": (str, type(None)),
    "tuple": (list,),
    "bool": (bool,),
}


def _checked(kind: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass, each of a type that JSON has for it."""
    known = {one.name: str(getattr(one.type, "__name__", one.type)) for one in fields(kind)}
    if not isinstance(raw, dict) or set(raw) != set(known):
        raise ValueError(f"a {kind.__name__.lower()} has other keys than expected")
    for name, declared in known.items():
        allowed = _TYPES.get(declared)
        if allowed and type(raw[name]) not in allowed:  # exactly: True is an int to isinstance
            raise ValueError(f"{name} of a {kind.__name__.lower()} is of the wrong type")
    return dict(raw)
