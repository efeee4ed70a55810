"""The book: everything that people have settled, as one document.

Rules
1. A book is never changed: every function here returns a new one. Whoever stores it compares the
   version first, so that of two edits at once one is told.
2. Devices are found by id, by name, or by identity (how the gateway recognises a client); names
   and identities are unique.
3. An error says what to do, in one line.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from tripgate.core import marks, names, proxyuser
from tripgate.core.messages import NONE, Messages
from tripgate.core.model import (
    GUESTS,
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
from tripgate.core.policy import Policy
from tripgate.core.statement import Statement

MOST_DEVICES = 200
MOST_PEOPLE = 100
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32


class BookError(Exception):
    """What was asked cannot be done; the text says what to do."""


@dataclass(frozen=True)
class Book:
    """Devices by id, people by name, caps by target and period, and the plan.

    Policies and requests are in the order they were made, credits too.
    """

    devices: Mapping[str, Device] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    caps: Mapping[tuple[Target, Period], Cap] = field(default_factory=dict)
    plan: Plan | None = None
    policies: tuple[Policy, ...] = ()
    credits: tuple[Credit, ...] = ()
    requests: tuple[Request, ...] = ()
    warned: tuple[Warned, ...] = ()
    queue: tuple[Plan, ...] = ()
    """Plans to come, in their order (:mod:`tripgate.core.planbook`)."""
    unmetered: tuple[str, ...] = ()
    """Names of uplinks whose bytes cost nothing (:mod:`tripgate.core.uplinks`)."""
    last_slot: int = 0
    """The slot that was given last, to a device that may be forgotten since."""
    uplink_plans: tuple[Plan, ...] = ()
    """Plans that uplinks have for themselves (:mod:`tripgate.core.planbook`)."""
    login: Login | None = None
    """Who logs in at an uplink's portal."""
    statements: tuple[Statement, ...] = ()
    """What the carrier said was used (:mod:`tripgate.core.statement`)."""
    messages: Messages = NONE
    """Who is told what, and what was told (:mod:`tripgate.core.messages`)."""

    @cached_property
    def by_slot(self) -> Mapping[int, Device]:
        """Devices by their mark on the uplink."""
        return {device.slot: device for device in self.devices.values()}

    @cached_property
    def by_identity(self) -> Mapping[str, Device]:
        """Devices by what the gateway recognises them by."""
        return {one: device for device in self.devices.values() for one in device.identities}


EMPTY = Book()


# -- finding -----------------------------------------------------------------------------------


def device_by_identity(book: Book, identity: str) -> Device | None:
    return book.by_identity.get(identity)


def device_of_slot(book: Book, slot: int) -> Device | None:
    return book.by_slot.get(slot)


def find_device(book: Book, name_or_id: str) -> Device:
    """By id or name. Raises :class:`BookError`."""
    if device := book.devices.get(name_or_id):
        return device
    for device in book.devices.values():
        if device.name == name_or_id:
            return device
    known = [device.name for device in book.devices.values()]
    raise BookError(_missing("device", name_or_id, known, "tripgate device list"))


def find_person(book: Book, name: str) -> Person:
    """Raises :class:`BookError`."""
    if person := book.people.get(name):
        return person
    raise BookError(_missing("person", name, book.people, "tripgate person list"))


def _missing(what: str, given: str, known: Iterable[str], command: str) -> str:
    close = difflib.get_close_matches(given[:64], list(known), 1)
    hint = f"did you mean {close[0]}?" if close else f"`{command}` shows them"
    return f"no {what} {given[:40]!r}: {hint}"


def parse_target(book: Book, text: str) -> Target:
    """``device:NAME``, ``person:NAME``, ``plan``, or a name that only one of them has."""
    kind, colon, name = text.partition(":")
    if colon and kind == Kind.DEVICE:
        return device_target(find_device(book, name).id)
    if colon and kind == Kind.PERSON:
        return person_target(find_person(book, name).name)
    if text == Kind.PLAN:
        return PLAN
    if colon:
        raise BookError(f"{text[:40]!r} is no target: write device:NAME, person:NAME or plan")
    devices = [one.id for one in book.devices.values() if text in (one.id, one.name)]
    if devices and text in book.people:
        raise BookError(f"{text!r} is a device and a person: write device:{text} or person:{text}")
    if devices:
        return device_target(devices[0])
    if text in book.people:
        return person_target(text)
    known = [*(device.name for device in book.devices.values()), *book.people]
    raise BookError(_missing("device or person", text, known, "tripgate device list"))


def target_label(book: Book, target: Target) -> str:
    """As people write it: with the device's name."""
    if target.kind is Kind.DEVICE and (device := book.devices.get(target.key)):
        return f"{Kind.DEVICE}:{device.name}"
    return str(target)


# -- devices -----------------------------------------------------------------------------------


def add_device(
    book: Book,
    identity: str,
    now: int,
    *,
    entropy: str,
    state: DeviceState = DeviceState.PENDING,
    name: str | None = None,
    mac: str | None = None,
) -> tuple[Book, Device]:
    """Enter an unknown client. ``entropy``: at least 8 random hex digits, for its id.

    A full book forgets the oldest device that is still pending, else the oldest guest; raises
    :class:`BookError` when all are wanted.
    """
    book = _with_room(book)
    device_id = _free_id(book, entropy)
    taken = {device.name for device in book.devices.values()}
    chosen = name if name and name not in taken else device_id
    device = Device(
        device_id,
        chosen,
        state,
        mac=mac,
        identities=(identity,),
        created_at=now,
        slot=_free_slot(book),
    )
    return replace(_put(book, device), last_slot=device.slot), device


def _with_room(book: Book) -> Book:
    if len(book.devices) < MOST_DEVICES:
        return book
    pending = [one for one in book.devices.values() if one.state is DeviceState.PENDING]
    guests = [one for one in book.devices.values() if one.person == GUESTS and not one.owner]
    if not (pending or guests):
        raise BookError(
            f"there are {MOST_DEVICES} devices: `tripgate device forget NAME` makes room"
        )
    return forget_device(book, min(pending or guests, key=lambda one: (one.created_at, one.id)).id)


def _free_id(book: Book, entropy: str) -> str:
    number = int(entropy, 16)
    taken = {*book.devices, *(device.name for device in book.devices.values())}
    while True:
        letters = "".join(_ALPHABET[number >> shift & 31] for shift in (15, 10, 5, 0))
        if f"dev-{letters}" not in taken:
            return f"dev-{letters}"
        number += 1


def _free_slot(book: Book) -> int:
    """One that was not used for long: connections of a forgotten device may still carry its own."""
    taken = {device.slot for device in book.devices.values()}
    last = book.last_slot or max(taken, default=marks.FIRST - 1)
    free: set[int] = {*range(marks.FIRST, marks.LAST + 1)} - taken
    after = [slot for slot in free if slot > last]
    return min(after or free)


def _check_name(name: str) -> None:
    if name == "plan" or name.startswith("-"):
        raise BookError(f"{name[:40]!r} means something else here: choose another name")
    if not names.valid_name(name):
        raise BookError(f"{name[:40]!r} is no name: use 1 to 32 of a-z, 0-9 and -")


def rename_device(book: Book, name: str, new: str) -> Book:
    device = find_device(book, name)
    _check_name(new)
    for other in book.devices.values():
        if other.id != device.id and new in (other.id, other.name):
            raise BookError(f"another device is called {new}: choose another name")
    return _put(book, replace(device, name=new))


def set_proxy_user(book: Book, name: str, digest: str, now: int, *, entropy: str) -> Book:
    """Let a device come with credentials; one that is not there is entered, and approved.

    ``digest``: of its secret, in place of one before. Raises :class:`BookError`.
    """
    if name not in {*book.devices, *(one.name for one in book.devices.values())}:
        if not names.valid_name(name):
            raise BookError(f"{name[:40]!r} is no name: use 1 to 32 of a-z, 0-9 and -")
        state, mine = DeviceState.APPROVED, proxyuser.identity(name)
        book, device = add_device(book, mine, now, entropy=entropy, state=state, name=name)
    else:
        device = find_device(book, name)
    if proxy_user(device) is None:
        identity = proxyuser.identity(device.name)
        if identity in book.by_identity:
            raise BookError(f"another device has the proxy user {device.name}: rename this one")
        device = replace(device, identities=(*device.identities, identity))
    return _put(book, replace(device, proxy_secret=digest))


def proxy_user(device: Device) -> str | None:
    """The name that a device's credentials carry."""
    prefix = proxyuser.identity("")
    found = (one.removeprefix(prefix) for one in device.identities if one.startswith(prefix))
    return next(found, None)


def approve_device(book: Book, name: str, person: str | None = None) -> Book:
    """Let a device use the plan, for ``person`` if given."""
    device = find_device(book, name)
    owner = find_person(book, person).name if person else device.person
    return _put(book, replace(device, state=DeviceState.APPROVED, person=owner))


def claim_device(book: Book, name: str) -> Book:
    """Let a device in as the owner's. Raises :class:`BookError`; a blocked one stays blocked."""
    device = find_device(book, name)
    if device.state is DeviceState.BLOCKED:
        raise BookError(f"{device.name} is blocked: `tripgate device approve {device.name}` first")
    return _put(book, replace(device, state=DeviceState.APPROVED, owner=True))


def has_owner(book: Book) -> bool:
    return any(device.owner for device in book.devices.values())


def disown_devices(book: Book) -> Book:
    """No device is an owner's any more; all stay let in."""
    kept = {key: replace(one, owner=False) for key, one in book.devices.items()}
    return replace(book, devices=kept)


def block_device(book: Book, name: str) -> Book:
    return _put(book, replace(find_device(book, name), state=DeviceState.BLOCKED))


def forget_device(book: Book, name: str) -> Book:
    """Take a device and its caps out; what it used stays counted."""
    device = find_device(book, name)
    kept = {key: one for key, one in book.devices.items() if key != device.id}
    return _without_target(replace(book, devices=kept), device_target(device.id))


def merge_devices(book: Book, old: str, new: str) -> Book:
    """``new`` is ``old`` come back: it keeps ``old``'s id, name, caps and counts."""
    kept, gone = find_device(book, old), find_device(book, new)
    if kept.id == gone.id:
        raise BookError(f"{old!r} and {new!r} are the same device")
    book = forget_device(book, gone.id)
    merged = dict.fromkeys((*kept.identities, *gone.identities))
    owner = kept.owner or gone.owner
    secret = kept.proxy_secret or gone.proxy_secret
    found = replace(
        kept,
        identities=tuple(merged),
        mac=gone.mac or kept.mac,
        owner=owner,
        proxy_secret=secret,
    )
    return _put(book, found)


def _put(book: Book, device: Device) -> Book:
    return replace(book, devices={**book.devices, device.id: device})


# -- people, caps, plan ------------------------------------------------------------------------


def add_person(book: Book, name: str, now: int = 0) -> Book:
    _check_name(name)
    if name in book.people:
        raise BookError(f"there is a person {name} already")
    if len(book.people) >= MOST_PEOPLE:
        raise BookError(f"there are {MOST_PEOPLE} people: remove one with `tripgate person remove`")
    return replace(book, people={**book.people, name: Person(name, now)})


def remove_person(book: Book, name: str) -> Book:
    find_person(book, name)
    owned = [device.name for device in book.devices.values() if device.person == name]
    if owned:
        raise BookError(f"{name} still has {', '.join(owned[:5])}: forget or re-assign them first")
    kept = {key: one for key, one in book.people.items() if key != name}
    return _without_target(replace(book, people=kept), person_target(name))


def set_cap(book: Book, cap: Cap) -> Book:
    """Set or replace; a ``once`` cap that is replaced goes on counting from its beginning.

    What was given to the one before is gone with it: the new volume is what holds.
    """
    key = (cap.target, cap.period)
    if cap.period is Period.ONCE and (before := book.caps.get(key)):
        cap = replace(cap, created_at=before.created_at)
    return _without_gifts(replace(book, caps={**book.caps, key: cap}), {key})


def clear_cap(book: Book, target: Target, period: Period | None = None) -> Book:
    """Clear one cap of a target, or all, with what was given to it. Raises :class:`BookError` if
    there is none."""
    gone = {key for key in book.caps if key[0] == target and period in (None, key[1])}
    if not gone:
        raise BookError(f"{target_label(book, target)} has no such cap: `tripgate cap list`")
    kept = {key: cap for key, cap in book.caps.items() if key not in gone}
    return _without_gifts(replace(book, caps=kept), gone)


def _without_gifts(book: Book, keys: set[tuple[Target, Period]]) -> Book:
    """Credits so far count no more in these caps; those that count nowhere are dropped, but for
    the plan's: they raise its volume too."""
    kept = []
    for one in book.credits:
        anew = {period for target, period in keys if target == one.target}
        replaced = tuple(period for period in Period if period in {*one.replaced, *anew})
        if one.target == PLAN or any(
            (one.target, p) in book.caps for p in set(Period) - {*replaced}
        ):
            kept.append(replace(one, replaced=replaced))
    return replace(book, credits=tuple(kept))


def set_plan(book: Book, plan: Plan | None) -> Book:
    return replace(book, plan=plan)


def _without_target(book: Book, target: Target) -> Book:
    """Without the caps, policies, credits and requests of a target that is gone."""
    return replace(
        book,
        caps={key: cap for key, cap in book.caps.items() if key[0] != target},
        policies=tuple(one for one in book.policies if one.target != target),
        credits=tuple(one for one in book.credits if one.target != target),
        requests=tuple(one for one in book.requests if one.target != target),
    )
