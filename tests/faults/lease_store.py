"""The store's side of the lease protocol: what the grant and the settle script do.

Rules
1. Grant is for the instance that claimed the gateway, for a lease that is not closed. ``have`` is
   what the caller knows to be granted: more than that was a reply that got lost, and is told
   again; less was forgotten by the store, and is reserved again.
2. Settle is never refused, not even for a closed lease. All is cumulative, so the order of
   settlements does not matter.
3. A closed lease stays known, also one that was never heard of before: a grant for it may still
   be on its way.
"""

from dataclasses import dataclass

from tests.faults.lease_state import Call, Lease, Mutant, Store, put, reserve

FENCED = -1


class Broken(Exception):
    """A step that breaks an invariant."""


@dataclass(frozen=True)
class Scripts:
    """The two scripts, for one ``limit``."""

    limit: int
    mutant: Mutant | None = None

    def grant(self, store: Store, gateway: int, call: Call) -> tuple[Store, int]:
        """The new store and the reply: granted in all, or ``FENCED``."""
        if store.owners[gateway] != call.run and self.mutant is not Mutant.NO_FENCE:
            return store, FENCED
        lease = store.leases[call.lease]
        if lease.closed:
            return store, call.have
        if lease.granted > call.have and self.mutant is not Mutant.GRANT_REPEATS:
            return store, lease.granted
        granted = max(lease.granted, call.have)
        reserved = store.reserved + granted - lease.granted
        more = max(0, min(call.want, self.limit - store.used - reserved))
        new = lease._replace(granted=granted + more, known=lease.known or granted + more > 0)
        leases = put(store.leases, call.lease, new)
        return store._replace(leases=leases, reserved=reserved + more), new.granted

    def settle(self, store: Store, call: Call) -> Store:
        """The new store."""
        lease = store.leases[call.lease]
        if lease.closed and self.mutant is Mutant.CLOSED_TAKES_NOTHING:
            return store
        if not lease.known and self.mutant is Mutant.SETTLE_NEEDS_LEASE:
            return store
        new = max(0, call.used - lease.settled)
        if self.mutant is Mutant.SETTLE_ADDS:
            new = call.used
        after = Lease(
            granted=max(lease.granted, call.have),
            settled=lease.settled + new,
            closed=lease.closed or call.final,
            known=True,
        )
        reserved = store.reserved + reserve(after) - reserve(lease)
        if after.closed and self._leaves_no_trace(lease):
            after = Lease()
        return store._replace(
            leases=put(store.leases, call.lease, after),
            charged=put(store.charged, call.lease, store.charged[call.lease] + new),
            used=store.used + new,
            reserved=reserved,
            overrun=store.overrun + (new if lease.closed else 0),
        )

    def execute(self, store: Store, gateway: int, call: Call) -> tuple[Store, int]:
        """Execute a call, and see what no call may do (I4, I5, I6)."""
        if call.want:
            after, reply = self.grant(store, gateway, call)
        else:
            after, reply = self.settle(store, call), call.used
            if self.settle(after, call) != after:
                raise Broken("I4: the same settlement again changes something")
        if store.leases[call.lease].closed and not after.leases[call.lease].closed:
            raise Broken("I5: a closed lease is open again")
        if after.used < store.used:
            raise Broken("I6: used fell")
        return after, reply

    def _leaves_no_trace(self, before: Lease) -> bool:
        if self.mutant is Mutant.NO_TOMBSTONE:
            return True
        return self.mutant is Mutant.NO_TOMBSTONE_UNKNOWN and not before.known
