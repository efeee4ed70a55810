"""The book as text: strict JSON both ways.

Rules
1. What is read was written by this program or is refused: unknown keys, wrong types and broken
   references are errors, never guesses.
2. The schema's version is inside; a newer one is not read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tripgate.core import marks
from tripgate.core.book import EMPTY, Book, BookError
from tripgate.core.model import (
    PLAN,
    Cap,
    Device,
    DeviceState,
    Kind,
    Period,
    Person,
    Plan,
    Target,
    device_target,
    person_target,
)

T = TypeVar("T")

SCHEMA = 1
MOST_BYTES = 1024 * 1024


class NewerBook(BookError):
    """The book was written by a newer tripgate."""


def dump(book: Book) -> str:
    """The book as JSON; :func:`load` gives it back."""
    caps = [
        {**asdict(cap), "target": {"kind": cap.target.kind, "key": cap.target.key}}
        for cap in book.caps.values()
    ]
    document = {
        "schema": SCHEMA,
        "devices": [asdict(device) for device in book.devices.values()],
        "people": [asdict(person) for person in book.people.values()],
        "caps": caps,
        "plan": asdict(book.plan) if book.plan else None,
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
    if set(document) != {"schema", "devices", "people", "caps", "plan"}:
        raise ValueError("other keys than expected")
    devices = [_device(one) for one in document["devices"]]
    people = [Person(**_checked(Person, one)) for one in document["people"]]
    caps = [_cap(one) for one in document["caps"]]
    plan = Plan(**_checked(Plan, document["plan"])) if document["plan"] else None
    book = Book(
        {one.id: one for one in devices},
        {one.name: one for one in people},
        {(one.target, one.period): one for one in caps},
        plan,
    )
    if plan:
        ZoneInfo(plan.tz)
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
    yield "a cap is on nobody", not {target for target, _ in book.caps} <= targets


def _device(raw: Mapping[str, Any]) -> Device:
    values = _checked(Device, {"proxy_secret": None, **raw})  # books of before have none
    values["state"] = DeviceState(values["state"])
    values["identities"] = _all_of(str, values["identities"])
    return Device(**values)


def _cap(raw: Mapping[str, Any]) -> Cap:
    values = _checked(Cap, raw)
    target = values["target"]
    values["target"] = Target(Kind(target["kind"]), target["key"])
    values["period"] = Period(values["period"])
    values["warn"] = _all_of(int, values["warn"])
    if values["limit"] < 0:
        raise ValueError("a limit is negative")
    return Cap(**values)


def _all_of(kind: type[T], values: Iterable[Any]) -> tuple[T, ...]:
    found = tuple(values)
    if not all(type(one) is kind for one in found):
        raise ValueError("a list holds something else than it should")
    return found


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
