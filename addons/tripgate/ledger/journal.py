"""The lease journal: a grant is on the gateway's disk before a byte of it may be used.

Redis may lose its last second in a power cut. The journal knows what was promised, and what the
ledger confirmed so recently that it may be forgotten again.

Rules
1. ``granted`` returns when the record is synced. Callers that come meanwhile share the next sync.
2. ``settled`` and ``closed`` say what the ledger has *confirmed*. They go to the file with the
   next write, in any case with the next ``tick``, without a sync of their own.
3. A closed lease is kept for ``KEEP_S`` seconds of unbroken contact after it was closed, then it
   is forgotten. Time without contact does not count: the ledger may be coming back from a power
   cut, without its last second. Whoever comes back to a ledger first sends ``recent()`` again.
4. The file is rewritten with what is still needed when it passes ``REWRITE_AT``. It never passes
   ``SIZE_MAX``: then grants are refused.
5. ``recover`` decides the amount of every lease and makes the decision durable before anybody
   settles it, so that all later recoveries settle the same.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tripgate.core import record as records
from tripgate.core.record import Entry, LeaseRecord, Mark, Record, Stage
from tripgate.ledger.journalfile import FULL, READ_MAX, JournalFile
from tripgate.ledger.progress import Progress
from tripgate.ledger.protocol import NewerState

__all__ = ["Journal", "JournalDown", "JournalError", "JournalFull", "LeaseRecord", "Recovered"]

KEEP_S = 10.0
SYNC_EVERY_S = 60.0
REWRITE_AT = 1024 * 1024
SIZE_MAX = 4 * 1024 * 1024

T = TypeVar("T")

log = logging.getLogger("tripgate.journal")


class JournalError(Exception):
    """Nothing was made durable: no grant. Says what to do."""


class JournalFull(JournalError):
    """The disk or the journal is full."""


class JournalDown(JournalError):
    """The journal cannot be written or read."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A lease to settle for the last time with ``used`` bytes in all.

    ``exact`` is false where nobody knows what was used and the whole grant is charged.
    """

    lease: LeaseRecord
    used: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Recovery:
    """``intact`` is false when the file is missing or has damaged lines: leases may be unknown."""

    leases: tuple[Recovered, ...]
    intact: bool


@dataclass(slots=True)
class _Waiting:
    record: LeaseRecord
    line: bytes
    done: asyncio.Future[None]


class Journal:
    """The journal at ``path``; call :meth:`recover` before anything else. One event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = JournalFile(path)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._entries: dict[str, Entry] = {}
        self._closed_at: dict[str, float | None] = {}
        self._waiting: list[_Waiting] = []
        self._marks: dict[str, Mark] = {}
        self._writer: asyncio.Task[None] | None = None
        self._limit = REWRITE_AT
        self._unsynced = False
        self._sync_due = False
        self._unsynced_since = 0.0
        self._down = False
        self._recovered = False

    async def recover(self, progress: Progress) -> Recovery:
        """Read what a previous run left and decide what each of its leases has used.

        The amount is the decided or confirmed one; else what the progress page says, if it is of
        this boot (never less than was confirmed); else the whole grant.
        Raises :class:`JournalError`, :class:`~tripgate.ledger.protocol.NewerState`.
        """
        data = await self._call(self._file.read)
        try:
            reading = await self._call(lambda: records.read(data or b""))
        except records.NewerFormat as error:
            raise NewerState(f"{self._path}: {error}: use the newer tripgate") from error
        if reading.damaged:
            log.warning("%s: %d damaged lines were skipped", self._path, reading.damaged)
        leases = tuple(_decide(entry, progress) for entry in reading.entries.values())
        for entry, lease in zip(reading.entries.values(), leases, strict=True):
            entry.mark(Mark(entry.record.lease, lease.used, Stage.ENDED))
        self._entries = reading.entries
        self._closed_at = {
            key: None for key, entry in reading.entries.items() if entry.stage is Stage.CLOSED
        }
        await self._rewrite(b"")
        self._recovered = True
        intact = data is not None and not reading.damaged and len(data) < READ_MAX
        return Recovery(leases, intact)

    async def granted(self, record: LeaseRecord) -> None:
        """Make a grant durable; only when this has returned may its bytes be used.

        Raises :class:`JournalFull`, :class:`JournalDown`: then there is no grant.
        """
        if not self._recovered:
            raise JournalDown(f"{self._path} was not recovered yet: try again")
        try:
            line = records.encode(record)
        except records.RecordError as error:
            raise JournalDown(f"lease {record.lease!r} cannot be journalled: {error}") from error
        waiting = _Waiting(record, line, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake()
        await waiting.done

    def settled(self, lease: str, used: int) -> None:
        """The ledger has confirmed ``used`` bytes (cumulative) of an open lease."""
        self._mark(Mark(lease, used))

    def closed(self, lease: str, used: int) -> None:
        """The ledger has confirmed the last settlement of the lease."""
        self._mark(Mark(lease, used, Stage.CLOSED))
        if lease in self._entries:
            self._closed_at[lease] = None

    def recent(self) -> tuple[Recovered, ...]:
        """Closed leases that the ledger may lose: settle them again after a lost contact."""
        return tuple(
            Recovered(self._entries[lease].record, self._entries[lease].used)
            for lease in self._closed_at
        )

    def tick(self, now: float, *, contact: bool) -> None:
        """Forget old leases and write what is buffered; call it about once a second.

        ``now``: seconds of a monotonic clock. ``contact``: the ledger answered since the last
        tick, and nothing failed.
        """
        for lease, since in list(self._closed_at.items()):
            if since is None or not contact:
                self._closed_at[lease] = now if contact else None
            elif now - since >= KEEP_S:
                del self._closed_at[lease]
                self._marks[lease] = Mark(lease, self._entries.pop(lease).used, Stage.GONE)
        if not self._unsynced:
            self._unsynced_since = now
        self._sync_due = now - self._unsynced_since >= SYNC_EVERY_S
        if self._marks or self._sync_due:
            self._wake()

    async def aclose(self) -> None:
        """Write and sync what is buffered; never fails."""
        if self._recovered:
            self._sync_due = True
            self._wake()
        if self._writer:
            await asyncio.wait([self._writer])
        await self._call(self._file.close)
        self._pool.shutdown(wait=False)

    # -- the writer -------------------------------------------------------------------------

    def _mark(self, mark: Mark) -> None:
        entry = self._entries.get(mark.lease)
        if entry:
            entry.mark(mark)
            self._marks[mark.lease] = entry.marked

    def _wake(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """One batch after the other until nobody waits; what comes meanwhile is the next."""
        while True:
            batch, self._waiting = self._waiting, []
            try:
                await self._commit(batch)
                self._down = False
                _finish(batch, None)
            except JournalError as error:
                self._failed(error)
                _finish(batch, error)
            except BaseException:
                _finish(batch, JournalDown(f"{self._path}: the writer ended: try again"))
                raise
            if not self._waiting:
                return

    async def _commit(self, batch: list[_Waiting]) -> None:
        """Write the marks and the grants of the batch; only then the grants are known here."""
        marks, self._marks = self._marks, {}
        grants = b"".join(waiting.line for waiting in batch)
        durable = bool(batch) or self._sync_due
        try:
            lines = b"".join(map(records.encode, marks.values())) + grants
            appended = await self._append(lines, durable=durable)
            if not appended:
                await self._rewrite(grants)
        except JournalError:
            self._marks = {**marks, **self._marks}
            raise
        for waiting in batch:
            self._enter(waiting.record)
        self._unsynced, self._sync_due = appended and not durable, False

    def _enter(self, record: LeaseRecord) -> None:
        if record.lease in self._entries:
            self._entries[record.lease].grow(record)
        else:
            self._entries[record.lease] = Entry(record)

    async def _append(self, lines: bytes, *, durable: bool) -> bool:
        """Add to the file; false if it must be rewritten instead."""
        if self._file.stale or self._file.size + len(lines) > self._limit:
            return False
        try:
            await self._call(lambda: self._file.append(lines, durable=durable))
        except JournalError:
            return False
        return True

    async def _rewrite(self, grants: bytes) -> None:
        """Replace the file by what is still needed, and the lines of new grants."""
        kept: list[tuple[Record, ...]] = [entry.records for entry in self._entries.values()]

        def rewrite() -> int:
            data = records.write(kept) + grants
            if len(data) > SIZE_MAX:
                raise JournalFull(f"{self._path} is full: older leases must be settled first")
            self._file.rewrite(data)
            return len(data)

        size = await self._call(rewrite)
        self._limit = min(SIZE_MAX, max(REWRITE_AT, 2 * size))

    async def _call(self, function: Callable[[], T]) -> T:
        """Run on the worker thread; what the disk says becomes a :class:`JournalError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)
        except OSError as error:
            full = error.errno in FULL
            hint = "free some space" if full else "see that it can be read and written"
            kind = JournalFull if full else JournalDown
            raise kind(f"{self._path}: {error.strerror or error}: {hint}") from error

    def _failed(self, error: JournalError) -> None:
        if not self._down:
            log.error("no grants: %s", error)
        self._down = True


def _finish(batch: Iterable[_Waiting], error: JournalError | None) -> None:
    for waiting in batch:
        if waiting.done.done():  # its caller was cancelled
            continue
        if error:
            waiting.done.set_exception(error)
        else:
            waiting.done.set_result(None)


def _decide(entry: Entry, progress: Progress) -> Recovered:
    if entry.stage is not Stage.OPEN:
        return Recovered(entry.record, entry.used)
    reached = progress.read(entry.record.lease)
    if reached is None:
        return Recovered(entry.record, max(entry.used, entry.record.granted), exact=False)
    return Recovered(entry.record, max(entry.used, reached))
