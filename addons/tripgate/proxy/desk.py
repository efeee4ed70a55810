"""The lease desk: grants for devices whose budget runs low, refusals when there is none.

Rules
1. What is granted starts at zero; only a grant that is in the journal raises a budget.
2. One grant per device is under way at a time; all flows of the device wait for the same one.
3. A lease that must change (an edit, a new period) is settled before its successor is asked for,
   so that its reserve does not stand in the successor's way.
4. After a failure the ledger is told what it may have lost before it is asked for anything.
5. A lease that was opened for bytes that asked nobody (the kernel's count, a flow's end) is
   journalled too, or a crash before its first settlement would lose them.
6. With the ledger gone a flow spends what it has, then waits ``RETRY_S``, then ends. So it does
   where the kernel counts and cannot be read: by estimates alone nobody is refused for a cap, and
   nobody waits for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from tripgate.clock import Clock
from tripgate.core.book import EMPTY, Book
from tripgate.core.classify import Catalogue
from tripgate.core.model import NOBODYS, PACKET, DeviceState, Period, Target
from tripgate.ending import end_all
from tripgate.ledger.journal import Journal, JournalError, LeaseRecord
from tripgate.ledger.progress import Progress
from tripgate.ledger.protocol import (
    Grant,
    GrantRequest,
    Ledger,
    LedgerDown,
    Registry,
)
from tripgate.proxy import shared
from tripgate.proxy.account import Account, Lease, Refusal
from tripgate.proxy.judge import Judge
from tripgate.proxy.stats import Stats
from tripgate.proxy.terms import Change, Terms

RETRY_S = 5.0
RETRY_EVERY_S = 0.25
REFUSAL_STANDS_S = 1.0
STALE_TRIES = 8
AGAIN_LEDGER_S, AGAIN_CAP_S = 2.0, 20.0
REFUSED_S = 10.0

UNREADABLE = "the kernel's counters cannot be read"

log = logging.getLogger("tripgate.desk")


class CountersDown(Exception):
    """What moved cannot be counted."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the desk keeps things."""

    ledger: Ledger
    registry: Registry
    journal: Journal
    progress: Progress


class LeaseDesk:
    """Accounts by device id, and the grants that feed them."""

    def __init__(
        self,
        clock: Clock,
        stats: Stats,
        make_account: Callable[[str, Callable[[Account], None]], Account] = Account,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._make_account = make_account
        self.stores: Stores
        self.clock = clock
        self.stats = stats
        self.judge = Judge(catalogue or Catalogue({}), clock, stats)
        self.terms = Terms(clock, self.judge)
        self.book: Book = EMPTY
        self.version = -1
        self.accounts: dict[str, Account] = {}
        self.settle_now: Callable[[], Awaitable[bool]] | None = None
        """False: what moved could not be counted."""
        self.grants = 0
        self.gateway = self._prefix = ""
        self.lost = False
        """The ledger failed since it was last told everything (:mod:`tripgate.proxy.settle`)."""
        self._refused_at: float | None = None
        self._reading = asyncio.Lock()
        self._closed = False
        self._sequence = 0
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._noting: set[asyncio.Task[None]] = set()

    @property
    def starts(self) -> Mapping[Period, int]:
        """When the periods of devices and people began."""
        return self.terms.starts

    def connect(self, stores: Stores, gateway: str, prefix: str) -> None:
        """Use these stores; leases are called ``prefix:NUMBER``. Nothing is granted before."""
        self.stores, self.gateway, self._prefix = stores, gateway, prefix

    # -- the book ---------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the book; flows and leases that it changes feel it at once."""
        async with self._reading:  # one after the other, or an older book could come last
            version, book = await self.stores.registry.load()
            if version == self.version:
                return
            self.book = book
            self.judge.learn(book)
            self.turn(force=True)
            for account in list(self.accounts.values()):
                self._follow_book(account)
            self.judge.follow(self.accounts.values())
            self.version = version  # last: what failed before it is tried again

    def forget_idle(self) -> None:
        """Accounts of devices that are not approved, once nothing of them is left to settle."""
        for device, account in list(self.accounts.items()):
            busy = account.lease or account.closing or account.flows or device in self._asking
            if not busy and not self._may_have_bytes(account):
                del self.accounts[device]

    def turn(self, *, force: bool = False) -> None:
        """Follow the uplink, and let the periods follow the clock, once it is trusted (or the
        plan was edited)."""
        changed = self.terms.follow(self.book, force=force)
        for account in self.accounts.values():
            if changed is not Change.NOTHING:
                self._follow_limits(account)
            if changed is Change.SESSION:  # what was paid ahead in the one before is not this one's
                account.revoke()

    def _follow_book(self, account: Account) -> None:
        device = self.book.devices.get(account.device)
        account.refusal = None
        if device is None or device.state is not DeviceState.APPROVED:
            self._cut(account, "device")
            account.revoke()
        else:
            self._follow_limits(account)

    def _follow_limits(self, account: Account) -> None:
        if account.lease is None or account.lease.limits != self.terms.limits(
            self.book, account.device
        ):
            account.refusal = None
            account.reached = ()
            account.revoke()

    # -- accounts and leases ----------------------------------------------------------------

    def account(self, device: str) -> Account:
        """The account of a device, made at the first use."""
        if device not in self.accounts:
            self.accounts[device] = self._make_account(device, self._open_unasked)
        return self.accounts[device]

    def _open_unasked(self, account: Account) -> None:
        """Rule 5."""
        self._open_lease(account)
        task = asyncio.ensure_future(self._note(account, account.lease))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, account: Account, lease: Lease | None) -> None:
        assert lease is not None
        try:
            await self._journal(account, lease, 0)
        except JournalError as error:
            self.failed(error)
        if lease is not account.lease and lease not in account.closing:
            self.stores.journal.closed(lease.id, lease.settled)  # it was settled meanwhile

    def _open_lease(self, account: Account) -> None:
        """Give the account a new lease of zero bytes."""
        lease_id = self.new_id()
        slot = self.stores.progress.slot(lease_id)
        lease = account.open(lease_id, self.terms.limits(self.book, account.device), slot)
        lease.session = self.terms.session(lease.limits)

    def new_id(self) -> str:
        """Of one more lease."""
        self._sequence += 1
        return f"{self._prefix}:{self._sequence}"

    def asking(self, account: Account) -> bool:
        """A grant for this device is under way."""
        return account.device in self._asking

    async def close(self) -> None:
        """Nothing is asked for any more; what is under way ends."""
        self._closed = True
        await end_all(list(self._asking.values()))

    def low(self, account: Account) -> None:
        """Ask ahead, while there still is budget."""
        if not self._closed and account.device not in self._asking and account.refusal is None:
            self._ask_soon(account)

    def try_again(self, account: Account) -> None:
        """A refusal is not for ever: others give back, the ledger returns. It stands meanwhile."""
        refusal = account.refusal
        if refusal is not None and not self._closed and account.device not in self._asking:
            patience = AGAIN_LEDGER_S if refusal.kind == "ledger" else AGAIN_CAP_S
            if self.clock.monotonic() - refusal.at >= patience:
                self._ask_soon(account)

    async def more(self, account: Account) -> bool:
        """Wait for a grant; False: there is none to be had (see ``refusal``), all flows are cut.

        True may mean that other flows have taken it all since: take, and ask again.
        """
        if self._closed:
            return False
        refusal = account.refusal
        age = self.clock.monotonic() - refusal.at if refusal else REFUSAL_STANDS_S
        fresh = account.exhausted and age < REFUSAL_STANDS_S
        if account.budget.left <= 0 and not fresh:
            task = self._asking.get(account.device) or self._ask_soon(account)
            await asyncio.shield(task)
        if account.budget.left <= 0:
            account.reclaim()
        if account.refusal is None or account.budget.left > 0:
            return True
        self._cut(account, account.refusal.kind)
        return False

    def _cut(self, account: Account, reason: str) -> None:
        self.stats.cuts[reason] += account.cut()

    # -- grants -----------------------------------------------------------------------------

    def _ask_soon(self, account: Account) -> asyncio.Task[None]:
        # Never eager, as mitmproxy has tasks on Python 3.12 and later: asking reads the counters,
        # a reading asks for more, and until the task is known that would ask again, without end.
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._ask_until(account), loop=loop)
        self._asking[account.device] = task
        task.add_done_callback(lambda _: self._asking.pop(account.device, None))
        return task

    async def _ask_until(self, account: Account) -> None:
        patience = RETRY_S if self.stats.ledger_up else 0.0
        deadline = self.clock.monotonic() + patience
        while True:
            try:
                return await self._ask(account)
            except CountersDown as error:
                trouble: Exception = error
            except (LedgerDown, JournalError) as error:
                self.failed(error)
                trouble, self._refused_at = error, self.clock.monotonic()
            now = self.clock.monotonic()
            account.refusal = Refusal("ledger", detail=str(trouble), at=now)
            if now >= deadline:
                return None
            await asyncio.sleep(RETRY_EVERY_S)

    def _may_have_bytes(self, account: Account) -> bool:
        """Default deny: a device is in the book and approved, or nothing is granted to it."""
        device = self.book.devices.get(account.device)
        known = device is not None and device.state is DeviceState.APPROVED
        return known or account.device in NOBODYS

    async def _ask(self, account: Account) -> None:
        asked_again = False
        for _ in range(STALE_TRIES):
            allowed = self._may_have_bytes(account)
            lease = await self._ready_lease(account) if allowed else None
            if lease is None or not self._may_have_bytes(account):  # the book may have changed
                account.refusal = Refusal("device", at=self.clock.monotonic())
                account.revoke()
                return
            grant = await self._grant(account, lease)
            if grant.stale:
                await self.reload()
            elif grant.granted > lease.budget.granted:
                await self._journal(account, lease, grant.granted)
                if not lease.rotate:
                    self._grow(account, lease, grant)
                    return
            elif not asked_again and self.settle_now:
                # What moved and is not settled stands in the way as reserve, and a refusal is to
                # say what was used: settle first, then take no for an answer.
                asked_again = True
                if not await self.settle_now():
                    raise CountersDown(UNREADABLE)
                if account.sure >= PACKET:  # estimates had it empty, the count does not
                    account.refusal = None
                    return
            elif not lease.rotate:
                lease.budget.final = True
                account.refusal = Refusal(
                    "cap", grant.binding, grant.binding_used, at=self.clock.monotonic()
                )
                return
        raise LedgerDown("the settings change faster than a lease can be granted: try again")

    def _grow(self, account: Account, lease: Lease, grant: Grant) -> None:
        self.grants += 1
        volume = grant.granted - lease.budget.granted
        shared.granted(self.accounts.values(), account, lease, volume)
        account.tightest = tightest = grant.binding
        sharers = self._shares(account)[tightest.target] if tightest is not None else 1
        shared.told(account, grant.left if tightest is not None else None, sharers, self.grants)
        account.reached = grant.reached
        lease.budget.grow(grant.granted, self.clock.monotonic())
        lease.budget.final = grant.final
        account.refusal = None
        account.grown()

    def _shares(self, account: Account) -> Mapping[Target, int]:
        return shared.shares(self.book, account, self.accounts)

    async def _ready_lease(self, account: Account) -> Lease:
        if account.lease and account.lease.rotate:
            account.rotate()
        if (account.closing or self.lost) and self.settle_now:
            await self.settle_now()
            if account.closing or self.lost:
                raise LedgerDown("what was moved before could not be settled")
        if account.lease is None:
            self._open_lease(account)
        assert account.lease is not None
        return account.lease

    async def _grant(self, account: Account, lease: Lease) -> Grant:
        request = GrantRequest(
            lease=lease.id,
            device=account.device,
            have=lease.budget.granted,
            want=lease.budget.want,
            limits=lease.limits,
            share=self._shares(account),
            book_version=self.version,
            trusted=self.clock.trusted(),
            now=int(self.clock.wall()),
            session=lease.session,
        )
        try:
            grant = await self.stores.ledger.grant(request)
        except LedgerDown:
            self.stats.calls["grant", "error"] += 1
            raise
        self._refused_at = None
        self.stats.calls["grant", "stale" if grant.stale else "ok"] += 1
        return grant

    async def _journal(self, account: Account, lease: Lease, granted: int) -> None:
        record = LeaseRecord(
            lease=lease.id,
            device=account.device,
            limits=tuple(replace(limit, soft=False) for limit in lease.limits),
            granted=granted,
            trusted=self.clock.trusted(),
        )
        await self.stores.journal.granted(record)

    def answered(self) -> None:
        """A settlement was recorded: the ledger is up, unless it lately could not grant (a server
        that is out of memory settles and grants nothing)."""
        refused = self._refused_at
        if refused is None or self.clock.monotonic() - refused > REFUSED_S:
            self.stats.ledger_up = True

    def failed(self, error: Exception) -> None:
        """The ledger or the journal did not answer: say so once."""
        if self.stats.ledger_up:
            log.warning("no leases: %s", error)
        self.stats.ledger_up = False
        self.lost = True
