"""What a ledger does, whoever keeps it: Redis on the road, memory in tests.

Rules
1. A lease belongs to one device. Its ``granted`` and ``settled`` are cumulative and only grow, so
   a repeated or reordered call is harmless; both start at zero.
2. A grant is made out of all scopes of the device at once (device, person, plan; RFC 8506's
   granted unit), in every period that has a limit, or not at all.
3. ``settle`` is never refused: bytes that moved are recorded, past the limit if need be.
4. A period turns when a call brings a later start and says that its clock is trusted.
5. Everything counted goes through ``Settlement``: the scopes' counters and the usage buckets
   change in the same atomic step.
6. A plan's counters count what its seller bills: each session of an uplink rounded up to the
   plan's step. All others count what moved.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tripgate.core.book import Book
from tripgate.core.model import Counter, Limit, Period, Session, Target
from tripgate.core.usage import Increment


class LedgerDown(Exception):
    """The store did not answer, is the wrong one, or cannot write. Says what to do."""


class Fenced(LedgerDown):
    """Another live instance of this gateway id holds the ledger."""


class NewerState(LedgerDown):
    """The state was written by a newer tripgate; this one does not touch it."""


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """Ask for ``want`` more bytes on a lease that the caller knows to stand at ``have``.

    ``limits`` names every scope and period to count in, with the limit where a cap says so.
    ``share`` is how many devices share each target (device: 1): a slice is at most
    remaining/(2 x share) where share > 1, so that one device cannot empty a shared plan.
    ``book_version`` is the version of the settings that ``limits`` was made from. ``session``: the
    plan's present one, where it is billed by steps.
    """

    lease: str
    device: str
    have: int
    want: int
    limits: tuple[Limit, ...]
    share: Mapping[Target, int]
    book_version: int
    trusted: bool
    now: int
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """``granted`` is cumulative; unchanged means refused. ``binding`` is the limit with the least
    left, of which ``binding_used`` is used: the one that refuses.

    ``final`` is RFC 8506's final unit (section 5.6): there is no more after this.
    ``reached`` are the soft limits that have nothing left: bytes go on, slower.
    ``left`` is what the limits leave beyond this grant; ``None``: nothing limits it.
    ``stale`` asks the caller to read the book again; nothing was granted.
    """

    granted: int
    final: bool = False
    left: int | None = None
    binding: Limit | None = None
    binding_used: int = 0
    stale: bool = False
    reached: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a lease has used in all (``used``, cumulative) and where the new bytes went.

    ``increments`` split the bytes since the last settlement of this lease (their volume is
    ``parts``). If the ledger finds that more is new than ``parts`` (it lost something, or a crash
    is being settled), the difference goes to ``rest``, each with the amount that is missing.
    ``session`` is whose the plan's bytes are; without one, the last session's.
    """

    lease: str
    device: str
    granted: int
    used: int
    final: bool
    limits: tuple[Limit, ...]
    trusted: bool
    parts: int = 0
    increments: tuple[Increment, ...] = ()
    rest: tuple[Increment, ...] = ()
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """One audited change of the book.

    ``folds``: devices that are gone, each with the id that what it used is counted for from now on
    (:mod:`tripgate.core.folding`). The counters change in the same atomic step.
    """

    actor: str
    action: str
    detail: str = ""
    at: int = 0
    folds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: int
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tallies:
    """Counters of many targets at one instant, and when each device was last seen."""

    counters: Mapping[tuple[Target, Period], Counter]
    seen: Mapping[str, int] = field(default_factory=dict)


class Ledger(Protocol):
    """Grant, settle, read. Every method may raise :class:`LedgerDown`."""

    async def claim(self, gateway: str, instance: str, previous: str | None, now: int) -> None:
        """Become the one live instance of ``gateway``; checks the schema.

        Raises :class:`Fenced` when another instance (not ``previous``) was heard of in the last
        10 s, :class:`NewerState` when the state is of a newer schema.
        """

    async def release(self) -> None:
        """The claimed instance stops: nobody need wait until it was not heard of for long."""

    async def grant(self, request: GrantRequest) -> Grant:
        """Raises :class:`Fenced` once another instance has claimed the gateway."""

    async def settle(
        self, rows: Sequence[Settlement], seen: Mapping[str, int], now: int
    ) -> tuple[int, ...]:
        """Record, in one atomic step. Returns how many bytes of each row were new.

        Also the heartbeat of the instance, and the ``last seen`` times of devices (by id).
        """

    async def open_leases(self) -> tuple[str, ...]:
        """Ids of the leases that are not closed (of every gateway)."""

    async def tallies(self, targets: Sequence[Target]) -> Tallies: ...

    async def buckets(self, names: Sequence[str]) -> tuple[Mapping[str, int], ...]:
        """The fields of each usage bucket, in the order asked; an absent bucket is empty."""

    async def ping(self) -> None: ...

    async def aclose(self) -> None: ...


class Registry(Protocol):
    """The book of settings, changed by compare-and-set. May raise :class:`LedgerDown`."""

    async def load(self) -> tuple[int, Book]:
        """The version and the book; version 0 and an empty book when there is none."""

    async def replace(self, version: int, book: Book, edit: Edit) -> bool:
        """Put ``book`` in place of ``version`` and record ``edit``; False: somebody was faster."""

    def changes(self) -> AsyncIterator[None]:
        """Yields whenever the book may have changed; ends when the connection is lost."""

    async def audit(self, count: int = 100) -> tuple[AuditEntry, ...]:
        """The newest entries, newest first."""
