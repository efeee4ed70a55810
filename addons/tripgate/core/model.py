"""The nouns of tripgate: device, person, plan, cap, and what they are called.

Rules
1. Everything here is frozen: a change is a new value (``dataclasses.replace``).
2. Volumes are integers of bytes; unlimited is ``None``. Instants are UTC epoch seconds (int).
3. A target is what a cap or a policy is on. Its text form is ``device:ID``, ``person:NAME`` or
   ``plan``; it is stored by device id, so that a rename keeps the cap.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class DeviceState(StrEnum):
    """What a device may do: nothing but the portal, use the plan, nothing at all."""

    PENDING = "pending"
    APPROVED = "approved"
    BLOCKED = "blocked"


class Period(StrEnum):
    """How long a cap lasts before its counter starts again."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TRIP = "trip"
    ONCE = "once"


class Kind(StrEnum):
    """What a target is."""

    DEVICE = "device"
    PERSON = "person"
    PLAN = "plan"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A device (by id), a person (by name) or the plan."""

    kind: Kind
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else str(self.kind)


PLAN = Target(Kind.PLAN)

GATEWAY = "(gateway)"
UNATTRIBUTED = "(unattributed)"
GUESTS = "guests"
"""The person whose devices share the guest pool (:mod:`tripgate.core.guests`)."""
NOBODYS = (GATEWAY, UNATTRIBUTED)
"""In place of a device id: the box's own traffic, packets without an owner. The plan pays."""

HOST = "host"
"""The identity of the gateway's own machine."""
FORGOTTEN = "(forgotten)"
"""In place of a device id: all that forgotten devices used."""


def device_target(device_id: str) -> Target:
    return Target(Kind.DEVICE, device_id)


def person_target(name: str) -> Target:
    return Target(Kind.PERSON, name)


@dataclass(frozen=True, slots=True)
class Device:
    """One client of the gateway.

    ``id`` is stable and tells nothing about the hardware; ``identities`` are how the gateway
    recognises it: ``ip:ADDRESS``, ``mac:ADDRESS`` (router mode), ``user:NAME`` (with credentials:
    :mod:`tripgate.core.proxyuser`; ``proxy_secret`` is the digest), ``host`` (any address of the
    gateway's own machine). ``slot`` is its mark on the uplink (:mod:`tripgate.core.marks`).
    An ``owner`` device may let in others at the portal while it is approved itself.
    """

    id: str
    name: str
    state: DeviceState
    person: str | None = None
    mac: str | None = None
    identities: tuple[str, ...] = ()
    created_at: int = 0
    slot: int = 0
    owner: bool = False
    proxy_secret: str | None = None

    @property
    def manages(self) -> bool:
        """May it change other devices at the portal?"""
        return self.owner and self.state is DeviceState.APPROVED


@dataclass(frozen=True, slots=True)
class Person:
    """An owner of devices; ``name`` is the key."""

    name: str
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The bought data. ``starts_at``/``expires_at`` bound the period ``trip``.

    ``uplink``: what moves on another one is not the plan's (:mod:`tripgate.core.uplinks`).
    ``counts_from``: where it waits, or waited, for its first use, since when bytes are its own.
    ``carried``: when its zone was last changed, and when the day, week and month of then had begun.
    """

    volume: int | None = None
    valid_s: int | None = None
    starts_at: int | None = None
    start: str = "now"
    day: str = "calendar"
    billing_day: int = 1
    price: str | None = None
    tz: str = "UTC"
    step: int = 1
    unit: str = "GB"
    uplink: str | None = None
    counts_from: int | None = None
    carried: tuple[int, int, int, int] | None = None

    @property
    def counted_from(self) -> int:
        """When the count of its trip begins: with the first use nothing is counted anew."""
        return (self.starts_at or 0) if self.counts_from is None else self.counts_from

    @property
    def expires_at(self) -> int | None:
        if self.starts_at is None or self.valid_s is None:
            return None
        return self.starts_at + self.valid_s


@dataclass(frozen=True, slots=True)
class Cap:
    """A volume per period on a target, and what happens when it is used up.

    ``action``: ``block``, ``essentials`` or ``throttle`` with ``rate`` (bits per second). ``roll``:
    what a day leaves goes to the next days. ``free``: hours that do not count, as minutes of the
    day in the plan's zone.
    """

    target: Target
    period: Period
    limit: int
    action: str = "block"
    warn: tuple[int, ...] = (50, 80, 95)
    created_at: int = 0
    rate: int | None = None
    roll: bool = False
    free: tuple[int, int] | None = None

    @property
    def soft(self) -> bool:
        """Past the limit bytes go on moving, slower."""
        return self.action != "block"


@dataclass(frozen=True, slots=True)
class Credit:
    """Bytes given to (or, below zero, taken from) the limits of a target.

    It counts in every period of the target that ``at`` (epoch seconds) lies in, but for those
    ``replaced``, whose cap was set or cleared since; what was used stays as it is.
    """

    target: Target
    volume: int
    at: int
    replaced: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class Warned:
    """The highest warn level (percent) of a cap that was told in the period from ``start``."""

    target: Target
    period: Period
    start: int
    level: int


@dataclass(frozen=True, slots=True)
class Login:
    """A device (by id) that may reach the uplink's own portal until ``until`` (epoch seconds)."""

    device: str
    until: int


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks for more data. ``answer``: empty, ``yes`` or ``no``."""

    id: str
    target: Target
    volume: int
    at: int
    text: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Counter:
    """What the ledger knows of one target in one period (bytes; ``start`` in epoch seconds)."""

    start: int
    used: int
    reserved: int = 0


PACKET = 1500
"""Bytes of a full packet: a volume that is smaller carries none."""


@dataclass(frozen=True, slots=True)
class CapState:
    """A cap with its counter, as the tools and pages show it.

    ``given``: what of the limit was given (below zero: lent) in the present period.
    ``spent``: what is left is used, or too little for a full packet. A kernel that drops the first
    packet that does not fit leaves such a rest.
    """

    cap: Cap
    used: int
    reserved: int
    resets_at: int | None
    credit: int = 0
    given: int = 0
    spent: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "spent", self.remaining < min(PACKET, self.limit) or not self.limit
        )

    @property
    def limit(self) -> int:
        """What the cap and its credits allow in the present period."""
        return max(0, self.cap.limit + self.credit)

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def needed(self) -> int:
        """Bytes that must be given before a full packet passes; 0: it passes now."""
        if not self.spent or self.cap.action != "block":
            return 0
        return max(0, self.used + PACKET - self.cap.limit - self.credit)


@dataclass(frozen=True, slots=True)
class Limit:
    """One counter that a grant goes through, with the limit if a cap or the plan sets one.

    ``start`` is when the period began; ``limit`` is ``None`` where bytes are only counted. A
    ``soft`` limit never refuses: past it grants go on, and say that it is reached.
    """

    target: Target
    period: Period
    start: int
    limit: int | None = None
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of an uplink from up to down, and the step (bytes) by which its plan is billed.

    ``uplink`` and ``id`` are without spaces; another ``id`` of an uplink is another session.
    """

    uplink: str
    id: str
    step: int
