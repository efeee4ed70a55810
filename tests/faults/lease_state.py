"""What there is in the model of the lease protocol: the store, the gateways, the observer."""

from enum import Enum, IntEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")

UNKNOWN = -1


class Mutant(Enum):
    """A rule of the protocol, broken. A search that does not see it is worth nothing."""

    USE_BEFORE_SYNC = "a grant is used before it is synced"
    CRASH_CHARGES_NOTHING = "a crash charges nothing"
    PAGE_OUTLIVES_BOOT = "the progress page is believed after a reboot"
    PAGE_LATE = "the progress page is written after the bytes moved"
    PAGE_REUSED = "slots of the page are given out before the decision is durable"
    SETTLE_ADDS = "settle adds instead of being cumulative"
    SETTLE_NEEDS_LEASE = "settle refuses a lease that the store forgot"
    GRANT_REPEATS = "a repeated grant grants again"
    NO_FENCE = "an instance that was replaced may still be granted"
    CLOSED_TAKES_NOTHING = "a closed lease takes nothing more"
    NO_TOMBSTONE = "the store forgets a closed lease"
    NO_TOMBSTONE_UNKNOWN = "closing a lease that the store does not know leaves no trace"
    FORGET_AT_ONCE = "closed leases leave the journal at once"
    RECOVERY_FORGETS = "recovery empties the journal at once"
    RECOVERY_NO_SWEEP = "recovery leaves leases that the journal does not know"
    NO_REPLAY = "a gateway goes on after a lost contact without a replay"
    REPLAY_NO_SWEEP = "a replay leaves leases that the journal does not know"


class Lease(NamedTuple):
    """The store's record of a lease; ``charged`` is what its bytes added to ``used``."""

    granted: int = 0
    settled: int = 0
    closed: bool = False
    known: bool = False


class Store(NamedTuple):
    """One limit, the leases counted in it, and who may speak for each gateway.

    ``overrun`` is what was recorded on leases that were closed already.
    """

    leases: tuple[Lease, ...]
    charged: tuple[int, ...]
    owners: tuple[int, ...]
    used: int = 0
    reserved: int = 0
    overrun: int = 0


class Stage(IntEnum):
    """How far the journal says that a lease has come."""

    NONE = 0
    OPEN = 1
    ENDED = 2
    CLOSED = 3
    GONE = 4


class Entry(NamedTuple):
    """A lease in a journal."""

    granted: int = 0
    used: int = 0
    stage: Stage = Stage.NONE


class Phase(IntEnum):
    """A gateway from its start to its work."""

    DOWN = 0
    CLAIMED = 1
    DECIDED = 2
    LIVE = 3


class Call(NamedTuple):
    """A call under way: a grant if ``want``, else a settlement. ``reply`` once executed."""

    run: int
    lease: int
    have: int
    want: int = 0
    used: int = 0
    final: bool = False
    reply: int | None = None


class Gate(NamedTuple):
    """A gateway: its disk, its page, and (while it is up) its memory."""

    journal: tuple[Entry, ...]
    synced: tuple[Entry, ...]
    page: tuple[int, ...]
    phase: Phase = Phase.DOWN
    run: int = 0
    lease: int = 0
    open: bool = False
    closing: bool = False
    have: int = 0
    usable: int = 0
    taken: int = 0
    lost: bool = False
    call: Call | None = None
    late: Call | None = None


class Faults(NamedTuple):
    """How many faults of each kind may still happen."""

    kills: int = 0
    cuts: int = 0
    store_cuts: int = 0
    losses: int = 0


class State(NamedTuple):
    """Everything; ``truth``, ``cuts`` and ``forgot`` are known to the observer only.

    ``truth``: bytes that moved, by lease; ``cuts``: how often each gateway lost power; ``forgot``:
    volume that a store's power cut set free.
    """

    now: Store
    disk: Store
    gates: tuple[Gate, ...]
    truth: tuple[int, ...]
    cuts: tuple[int, ...]
    faults: Faults
    forgot: int = 0


def put(values: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    """The tuple with one value changed."""
    return (*values[:at], value, *values[at + 1 :])


def put_gate(state: State, g: int, gate: Gate) -> State:
    """The state with one gateway changed."""
    return state._replace(gates=put(state.gates, g, gate))


def reserve(lease: Lease) -> int:
    """What a lease holds back from the limit."""
    return 0 if lease.closed else max(0, lease.granted - lease.settled)
