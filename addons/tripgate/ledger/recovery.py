"""The ledger is told what it may not know: after a crash, and when it comes back.

Rules
1. ``recover`` settles every lease that an earlier run left, for the last time, with the amount
   that the journal decided. What it was used for nobody knows any more: service ``unknown``.
2. A lease of this gateway that is open in the ledger and not in the journal was never used: a
   grant is in the journal before its first byte moves. It is closed. Its reply got lost, or the
   ledger forgot in a power cut that it was closed.
3. Nothing is taken out of the journal here: the ledger may lose what it just confirmed. The
   journal forgets in its own time (its rule 3).
4. All of it may be repeated, and may end anywhere: amounts are cumulative and decided.
5. Claim the gateway before; ask for grants only afterwards. The same after a lost contact.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tripgate.core import usage
from tripgate.core.classify import UNKNOWN
from tripgate.core.model import Period
from tripgate.core.record import LeaseRecord
from tripgate.ledger.journal import Journal, Recovered
from tripgate.ledger.progress import Progress
from tripgate.ledger.protocol import Ledger, Settlement

AT_ONCE = 64

log = logging.getLogger("tripgate.recovery")


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What an earlier run left: ``leases``, and how many bytes of them were ``settled_bytes`` new.

    ``exact`` is false when whole grants were charged for want of better knowledge, or when the
    journal was damaged. ``orphans``: leases that only the ledger knew.
    """

    leases: int
    settled_bytes: int
    exact: bool
    orphans: int = 0


async def recover(
    journal: Journal, progress: Progress, ledger: Ledger, gateway: str, now: int
) -> RecoveryReport:
    """Settle what an earlier run of ``gateway`` left. ``now``: epoch seconds.

    Raises ``LedgerDown``, ``JournalError``, ``NewerState``: then call it again later.
    """
    left = await journal.recover(progress)
    orphans = await _orphans(ledger, gateway, {one.lease.lease for one in left.leases})
    found = [_orphan(lease, progress.read(lease)) for lease in orphans]
    exact = all(one.exact for one in left.leases)
    if orphans and not left.intact and not all(one.exact for one in found):
        exact = False
        log.error("the journal was damaged: bytes of %d leases may be lost", len(orphans))
    new = await _settle(journal, ledger, (*left.leases, *found), now)
    return RecoveryReport(len(left.leases), new, exact, len(orphans))


async def replay(
    journal: Journal,
    ledger: Ledger,
    gateway: str,
    live: Callable[[], Collection[str]],
    now: int,
) -> int:
    """After a lost contact: settle again what the ledger may have lost; returns the new bytes.

    ``live``: ids of the leases that the gateway still settles by itself; asked after the ledger
    was. Raises ``LedgerDown``: then call it again before any grant.
    """
    recent = journal.recent()
    open_now = await _orphans(ledger, gateway, {one.lease.lease for one in recent})
    mine = live()
    orphans = [_orphan(lease, None) for lease in open_now if lease not in mine]
    return await _settle(journal, ledger, (*recent, *orphans), now)


async def _orphans(ledger: Ledger, gateway: str, known: Collection[str]) -> list[str]:
    own = f"{gateway}:"
    return [
        lease
        for lease in await ledger.open_leases()
        if lease.startswith(own) and lease not in known
    ]


def _orphan(lease: str, taken: int | None) -> Recovered:
    """The ledger knows the device and the counters of the lease; we need not."""
    return Recovered(LeaseRecord(lease, "", (), 0), taken or 0, exact=taken is not None)


async def _settle(journal: Journal, ledger: Ledger, leases: Sequence[Recovered], now: int) -> int:
    total = 0
    for first in range(0, len(leases), AT_ONCE):
        part = leases[first : first + AT_ONCE]
        total += sum(await ledger.settle([_row(one, now) for one in part], {}, now))
        for one in part:
            journal.closed(one.lease.lease, one.used)
    return total


def _row(one: Recovered, now: int) -> Settlement:
    lease = one.lease
    return Settlement(
        lease=lease.lease,
        device=lease.device,
        granted=lease.granted,
        used=one.used,
        final=True,
        limits=lease.limits,
        trusted=lease.trusted,
        rest=_rest(lease, now),
    )


def _rest(lease: LeaseRecord, now: int) -> tuple[usage.Increment, ...]:
    """Where bytes of unknown use go; the amounts are the ledger's to find."""
    starts: Mapping[Period, int] = {limit.period: limit.start for limit in lease.limits}
    if not {Period.DAY, Period.TRIP} <= starts.keys():
        return ()
    return usage.increments(lease.device, UNKNOWN, None, 0, 1, now, starts)
