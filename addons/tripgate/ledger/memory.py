"""A ledger and a registry without Redis, for tests: the same behaviour, gone with the process.

Several ledgers on one :class:`MemoryStore` are like several clients of one Redis. Set
``store.down`` to a reason to have every call fail.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice

from tripgate.core.book import Book
from tripgate.core.model import Counter, Period, Target
from tripgate.ledger import keys, wire
from tripgate.ledger.memoryfold import fold, forget_folds
from tripgate.ledger.memorystore import MemoryStore, Owner
from tripgate.ledger.protocol import (
    AuditEntry,
    Edit,
    Fenced,
    Grant,
    GrantRequest,
    LedgerDown,
    NewerState,
    Settlement,
    Tallies,
)

__all__ = ["MemoryLedger", "MemoryRegistry", "MemoryStore"]

FENCE_S = 10
POLL_S = 0.01


class _Client:
    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()

    def _up(self) -> MemoryStore:
        if self.store.down:
            raise LedgerDown(self.store.down)
        return self.store

    def _same_schema(self) -> MemoryStore:
        if self._up().schema > keys.SCHEMA:
            raise NewerState("the ledger was written by a newer tripgate: use that version")
        return self.store

    async def aclose(self) -> None:
        """Nothing to close."""


class MemoryLedger(_Client):
    """A :class:`~tripgate.ledger.protocol.Ledger` in memory."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self._gateway = self._instance = ""

    async def claim(self, gateway: str, instance: str, previous: str | None, now: int) -> None:
        store = self._same_schema()
        owner = store.owners.get(gateway)
        foreign = owner is not None and owner.instance not in (instance, previous)
        if owner and foreign and abs(now - owner.heard) < FENCE_S:
            raise Fenced(f"gateway {gateway} is running elsewhere on this ledger: stop it")
        store.owners[gateway] = Owner(instance, now, owner.contact if owner else 0)
        store.schema = keys.SCHEMA
        self._gateway, self._instance = gateway, instance

    async def release(self) -> None:
        owner = self._up().owners.get(self._gateway)
        if owner and owner.instance == self._instance:
            owner.heard = 0

    async def grant(self, request: GrantRequest) -> Grant:
        wire.grant(request, self._gateway, self._instance)  # refuses what Redis would
        store = self._up()
        owner = store.owners.get(self._gateway)
        if owner is None or owner.instance != self._instance:
            raise Fenced(f"gateway {self._gateway} was started elsewhere: only one may run")
        if store.version != request.book_version:
            return Grant(request.have, stale=True)
        return store.grant(request)

    async def settle(
        self, rows: Sequence[Settlement], seen: Mapping[str, int], now: int
    ) -> tuple[int, ...]:
        wire.settle(rows, seen, now, self._gateway, self._instance)  # refuses what Redis would
        store = self._up()
        store.contact(self._gateway, self._instance, now)
        fresh = store.settle(rows, now)
        store.seen |= seen
        store.purge(self._gateway, self._instance, {row.lease for row in rows}, now)
        return fresh

    async def open_leases(self) -> tuple[str, ...]:
        return tuple(sorted(key for key, lease in self._up().leases.items() if lease.open))

    async def tallies(self, targets: Sequence[Target]) -> Tallies:
        counts = self._up().counts
        counters = {
            (target, period): Counter(count.start, count.used, count.reserved)
            for target in targets
            for period in Period
            if (count := counts.get((target, period)))
        }
        return Tallies(counters, dict(self.store.seen))

    async def buckets(self, names: Sequence[str]) -> tuple[Mapping[str, int], ...]:
        return tuple(dict(self._up().buckets.get(name, {})) for name in names)

    async def ping(self) -> None:
        self._up()


class MemoryRegistry(_Client):
    """A :class:`~tripgate.ledger.protocol.Registry` in memory."""

    async def load(self) -> tuple[int, Book]:
        store = self._same_schema()
        return store.version, store.book

    async def replace(self, version: int, book: Book, edit: Edit) -> bool:
        wire.book(book)  # refuses what Redis would
        store = self._same_schema()
        if store.version != version:
            return False
        store.version, store.book = version + 1, book
        for gone, heir in edit.folds:
            fold(store, gone, heir)
        forget_folds(store, book.devices)
        store.edits.appendleft(AuditEntry(edit.at, edit.actor, edit.action, edit.detail))
        return True

    async def changes(self) -> AsyncIterator[None]:
        known = None
        while self.store.down is None:
            if known != self.store.version:
                known = self.store.version
                yield
            await asyncio.sleep(POLL_S)

    async def audit(self, count: int = 100) -> tuple[AuditEntry, ...]:
        return tuple(islice(self._up().edits, count))
