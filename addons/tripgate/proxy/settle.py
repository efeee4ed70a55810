"""The settlement loop: once in a while, what all devices moved goes to the ledger in one call.

Rules
1. One call for all devices; a batch that got no answer is sent again as it was (rule 2 of
   :mod:`tripgate.proxy.account`), before anything newer.
2. When the ledger comes back it is first told what it may have lost (:func:`replay`).
3. The same loop turns periods, closes idle leases and keeps the heartbeat.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tripgate.core import usage
from tripgate.core.classify import UNKNOWN, Catalogue
from tripgate.core.model import NOBODYS
from tripgate.ledger.protocol import LedgerDown, Settlement
from tripgate.ledger.recovery import replay
from tripgate.proxy import shared
from tripgate.proxy.account import Account, Lease, Moved
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.plans import PlanKeeper
from tripgate.proxy.warn import Warner

EVERY_S = 0.7
AGAIN_S = 0.1

log = logging.getLogger("tripgate.settle")


@dataclass(slots=True)
class Batch:
    """Rows under way, and the leases they belong to; a row of attempts has none."""

    rows: list[Settlement]
    leases: list[tuple[Account, Lease, bool]]
    seen: Mapping[str, int]


class Settler:
    """Collects from the desk's accounts and settles."""

    def __init__(
        self, desk: LeaseDesk, catalogue: Catalogue, read: Callable[[], None] | None = None
    ) -> None:
        """``read`` brings the kernel's counts to the accounts, where it counts."""
        self._desk = desk
        self._read = read
        self._plans = PlanKeeper(desk)
        self._warner = Warner(desk)
        self._catalogue = catalogue
        self._pending: Batch | None = None
        self._lock = asyncio.Lock()
        self._readable = True
        self._settled_at = 0.0
        desk.settle_now = self.count_and_settle

    async def run(self) -> None:
        """Settle every ``EVERY_S`` seconds until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self._desk.turn()
            self._desk.forget_idle()
            self.read()
            self.measure()
            self._desk.judge.follow(self._desk.accounts.values())
            await self._turn()
            await self.settle()
            now = self._desk.clock.monotonic()
            self._desk.stores.journal.tick(now, contact=self._desk.stats.ledger_up)

    async def refresh(self) -> None:
        """Settle now, for somebody who is about to look; not more often than ``AGAIN_S``."""
        if self._desk.clock.monotonic() - self._settled_at >= AGAIN_S:
            await self.count_and_settle()

    async def count_and_settle(self) -> bool:
        """Settle all there is. Where the kernel counts it is read for it, at most every
        ``AGAIN_S``: whoever asks sooner waits, for an answer from old counts would be wrong.
        False: it could not be read."""
        counted = await self._turn_to_read() if self._read else True
        await self.settle()
        return counted

    async def _turn_to_read(self) -> bool:
        wait = self._settled_at + AGAIN_S - self._desk.clock.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        return self.read()

    def read(self) -> bool:
        """Take a reading, if there is somebody to read; without one the kernel's quotas run dry."""
        try:
            if self._read:
                self._read()
        except OSError as error:
            if self._readable:
                log.error("the kernel's counters cannot be read: %s", error)
            self._readable = False
        else:
            self._readable = True
        return self._readable

    async def _turn(self) -> None:
        """Plans that begin and end, warnings that are due."""
        try:
            await self._plans.turn()
            await self._warner.turn()
        except LedgerDown as error:
            self._desk.failed(error)

    def measure(self) -> None:
        now = self._desk.clock.monotonic()
        for account in self._desk.accounts.values():
            account.budget.measure(now)
            if account.idle(now):
                account.give_back()

    async def settle(self) -> None:
        """Bring everything that is new to the ledger; failures are kept for the next time."""
        async with self._lock:
            self._settled_at = self._desk.clock.monotonic()
            try:
                if self._pending:
                    await self._send(self._pending)
                lost = self._desk.lost
                if lost:
                    await self._replay()
                await self._send(self._collect(everything=lost))
            except LedgerDown as error:
                self._desk.stats.calls["settle", "error"] += 1
                self._desk.failed(error)

    async def _replay(self) -> None:
        desk = self._desk
        now = int(desk.clock.wall())
        await replay(desk.stores.journal, desk.stores.ledger, desk.gateway, self._live, now)
        desk.lost = False

    def _live(self) -> set[str]:
        return {
            lease.id for account in self._desk.accounts.values() for lease, _ in account.leases()
        }

    async def close(self) -> bool:
        """Close every lease, once nothing is asked for any more; True when the ledger has all."""
        self.read()
        for account in self._desk.accounts.values():
            account.rotate()
        await self.settle()
        return self._pending is None

    async def _send(self, batch: Batch) -> None:
        self._pending = batch
        now, grants = int(self._desk.clock.wall()), self._desk.grants
        await self._desk.stores.ledger.settle(batch.rows, batch.seen, now)
        self._pending = None
        self._desk.stats.calls["settle", "ok"] += 1
        self._desk.answered()
        for row, (account, lease, final) in zip(batch.rows, batch.leases, strict=False):
            lease.settled = row.used
            if final:
                account.closing.remove(lease)
                shared.returned(self._desk.accounts.values(), lease, row.used, grants)
                self._desk.stores.journal.closed(lease.id, row.used)
                lease.slot.release()
            else:
                self._desk.stores.journal.settled(lease.id, row.used)

    def _collect(self, *, everything: bool = False) -> Batch:
        """What is new; after a lost contact every lease: the ledger may have forgotten some."""
        now = int(self._desk.clock.wall())
        batch = Batch([], [], {})
        seen: dict[str, int] = {}
        for account in self._desk.accounts.values():
            if account.lease and account.lease.rotate and not self._desk.asking(account):
                account.rotate()
            account.collect()
            if account.flows or account.stirred:
                seen[account.device] = now
                account.stirred = False
            for lease, final in account.leases():
                if lease.moved or final or everything:
                    batch.rows.append(self._row(account, lease, final, now))
                    batch.leases.append((account, lease, final))
        self._add_held_back(batch)
        batch.seen = seen
        return batch

    def _add_held_back(self, batch: Batch) -> None:
        """What policies have held back goes with some row's bytes: so it is recorded once. Where
        nothing moves it is a row of its own, whose amount counts nowhere."""
        held = self._desk.judge.hand_over()
        if not held:
            return
        for place, row in enumerate(batch.rows):
            if row.parts:
                batch.rows[place] = replace(row, increments=(*row.increments, *held))
                return
        amount = sum(one.amount for one in held)
        trusted, lease = self._desk.clock.trusted(), self._desk.new_id()
        row = Settlement(lease, "(held)", amount, amount, True, (), trusted, amount, held)
        batch.rows.append(row)  # the last one: it has no lease here

    def _row(self, account: Account, lease: Lease, final: bool, now: int) -> Settlement:
        parts, volume = dict(lease.parts), lease.moved
        lease.parts.clear()
        used = lease.settled + volume
        increments = tuple(
            increment
            for host, moved in parts.items()
            for increment in self._increments(account.device, host, moved, now)
        )
        self._desk.stats.overrun += max(0, used - max(lease.budget.granted, lease.settled))
        return Settlement(
            lease=lease.id,
            device=account.device,
            granted=lease.budget.granted,
            used=used,
            final=final,
            limits=lease.limits,
            trusted=self._desk.clock.trusted(),
            parts=volume,
            increments=increments,
            rest=usage.increments(account.device, UNKNOWN, None, 0, 1, now, self._desk.starts),
            session=lease.session,
        )

    def _increments(
        self, device: str, host: str | None, moved: Moved, now: int
    ) -> tuple[usage.Increment, ...]:
        service = self._catalogue.classify(host)
        for direction, volume in (("up", moved.up), ("down", moved.down)):
            if volume and device not in NOBODYS:
                self._desk.stats.traffic[device, service.category, direction] += volume
        return usage.increments(
            device,
            service,
            host,
            moved.up,
            moved.down,
            now,
            self._desk.starts,
            overhead=moved.overhead,
        )
