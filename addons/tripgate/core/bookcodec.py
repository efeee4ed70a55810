"""The book as text: strict JSON both ways.

Rules
1. What is read was written by this program or is refused: unknown keys, wrong types and broken
   references are errors, never guesses.
2. The schema's version is inside; a newer one is not read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from tripgate.core.book import EMPTY, Book, BookError
from tripgate.core.model import Cap, Device, DeviceState, Kind, Period, Person, Plan, Target

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
    except (ValueError, TypeError, KeyError, RecursionError) as error:
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
    return Book(
        {one.id: one for one in devices},
        {one.name: one for one in people},
        {(one.target, one.period): one for one in caps},
        plan,
    )


def _device(raw: Mapping[str, Any]) -> Device:
    values = _checked(Device, raw)
    values["state"] = DeviceState(values["state"])
    values["identities"] = tuple(values["identities"])
    return Device(**values)


def _cap(raw: Mapping[str, Any]) -> Cap:
    values = _checked(Cap, raw)
    target = values["target"]
    values["target"] = Target(Kind(target["kind"]), target["key"])
    values["period"] = Period(values["period"])
    values["warn"] = tuple(values["warn"])
    return Cap(**values)


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
