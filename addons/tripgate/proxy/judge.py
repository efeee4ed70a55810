"""What policies and soft caps do to flows: turned away, cut, slowed, and counted.

Rules
1. A verdict on a flow is of now: at the connect, when its name becomes known, with every edit of
   the book, and with every turn of the settlement loop (hours begin, policies end, caps are used
   up).
2. A flow that may no longer be is cut; one that is to be slowed gets the bucket of what slows it,
   shared by everything that the same policy or cap slows.
3. Where a name may still come (a tunnel to an address) and an ``essentials`` cap would let some
   names pass, the name decides, not its absence: the flow is let open, and cut once its first
   bytes say who is asked for, or that nobody is named, before anything is delivered.
4. What a policy holds back is counted (:mod:`tripgate.core.heldback`).
"""

import itertools
from collections.abc import Callable, Collection, Iterable

from tripgate.clock import Clock
from tripgate.core import planbook, policybook, uplinks
from tripgate.core.book import EMPTY, Book
from tripgate.core.bucket import Bucket
from tripgate.core.classify import UNKNOWN, Catalogue, Service
from tripgate.core.heldback import Held, increments
from tripgate.core.limits import cap_of, targets_of
from tripgate.core.model import PLAN, Cap, Plan, Session, Target
from tripgate.core.policy import NEVER, Moment, Verdict
from tripgate.core.usage import Increment
from tripgate.proxy.account import Account, Metered
from tripgate.proxy.stats import Stats

BEST = Service("", "essential")
"""What a soft cap lets through if it lets any name through."""


class Judge:
    """The policies of the present book, applied to the flows of accounts."""

    def __init__(self, catalogue: Catalogue, clock: Clock, stats: Stats) -> None:
        self.uplinks: Callable[[], Collection[str]] = lambda: (uplinks.DEFAULT,)
        """The names of the uplinks in use, the preferred one first."""
        self.session_of: Callable[[str], str | None] = lambda _: "run"
        """Which session of an uplink is going on; ``None``: it is down."""
        self.held: dict[str, Held] = {}
        """By policy id, what is not in the ledger yet."""
        self._catalogue = catalogue
        self._clock = clock
        self._stats = stats
        self._book = EMPTY
        self._policies = policybook.compiled(EMPTY)
        self._targets: dict[str, tuple[Target, ...]] = {}
        self._buckets: dict[str, Bucket] = {}

    def learn(self, book: Book) -> None:
        """Judge by this book from now on."""
        self._book, self._policies = book, policybook.compiled(book)
        self._targets = {device.id: targets_of(device) for device in book.devices.values()}
        known = {policy.id for policy in book.policies}
        self.held = {key: held for key, held in self.held.items() if key in known}

    @property
    def unmetered(self) -> bool:
        """What moves now costs nothing."""
        return uplinks.unmetered(self._book, self.uplinks())

    @property
    def pays(self) -> Target | None:
        """The plan that what moves now is of."""
        now = int(self._clock.wall()) if self._clock.trusted() else None
        return None if self.unmetered else planbook.paying(self._book, self.uplinks(), now)

    @property
    def session(self) -> Session | None:
        """Of the uplink in use, by the step of the plan that pays."""
        uplink = next(iter(self.uplinks()), "")
        step = planbook.in_force(self._book).get(self.pays or PLAN, Plan()).step
        going_on = self.session_of(uplink) if uplink and self.pays else None
        return Session(uplink, going_on, step) if going_on else None

    def verdict(self, account: Account, host: str | None) -> Verdict:
        """On a flow of the account to ``host`` (a clean name, or none)."""
        targets = self._targets.get(account.device, ())
        service = self._catalogue.classify(host)
        return self._policies.decide(
            targets, service, self._moment(), reached=self._reached(account), host=host
        )

    def waits(self, account: Account, verdict: Verdict) -> bool:
        """Whether a cap refuses a flow only as long as it has no name (rule 3)."""
        if verdict.policy is not None:
            return False
        targets = self._targets.get(account.device, ())
        reached = self._reached(account)
        return self._policies.decide(targets, BEST, self._moment(), reached=reached).passes

    def service(self, host: str | None) -> str:
        """What people call the service at ``host``; empty for an unknown one."""
        found = self._catalogue.classify(host)
        return "" if found is UNKNOWN else found.name

    def is_check(self, host: str | None) -> bool:
        """Whether ``host`` is asked only to find out if there is an internet."""
        return self._catalogue.classify(host).category == NEVER

    def nameless(self, account: Account) -> tuple[bool, Bucket | None]:
        """Whether packets that belong to no flow may be forwarded now, and what slows them."""
        verdict = self.verdict(account, None)
        return verdict.passes, self.bucket(verdict)

    def held_back(self, verdict: Verdict, host: str | None) -> None:
        """Count an attempt."""
        if verdict.policy is not None:
            self.held.setdefault(verdict.policy, Held()).count(host)

    def hand_over(self) -> tuple[Increment, ...]:
        """What was held back since the last call, for the ledger."""
        held, self.held = self.held, {}
        made = (increments(one, held[one.id]) for one in self._book.policies if one.id in held)
        return tuple(itertools.chain.from_iterable(made))

    def follow(self, accounts: Iterable[Account]) -> None:
        """Let every flow feel what holds now."""
        used: set[str] = set()
        for account in accounts:
            used.add(_key(self.verdict(account, None)))
            for flow in list(account.flows):
                used.add(_key(self.apply(account, flow)))
        self._buckets = {key: one for key, one in self._buckets.items() if key in used}

    def apply(self, account: Account, flow: Metered) -> Verdict:
        """Cut, slow or free one flow."""
        verdict = self.verdict(account, flow.meter.name)
        if verdict.passes or (flow.undecided and self.waits(account, verdict)):
            flow.slow(self.bucket(verdict))
        elif flow.cut():
            self._stats.cuts["policy" if verdict.policy else "cap"] += 1
            self.held_back(verdict, flow.meter.name)
        return verdict

    def bucket(self, verdict: Verdict) -> Bucket | None:
        """What slows a flow by this verdict; ``None``: nothing."""
        if verdict.rate is None:
            return None
        key = _key(verdict)
        bucket = self._buckets.get(key)
        if bucket is None or bucket.rate != verdict.rate:
            now = self._clock.monotonic()
            bucket = self._buckets[key] = Bucket(verdict.rate, now)
        return bucket

    def _moment(self) -> Moment:
        return Moment(int(self._clock.wall()), self._clock.trusted(), self.unmetered)

    def _reached(self, account: Account) -> list[Cap]:
        found = (cap_of(self._book, limit) for limit in account.reached)
        return [cap for cap in found if cap is not None]


def _key(verdict: Verdict) -> str:
    cap = verdict.cap
    return f"{cap.target}/{cap.period}" if cap else str(verdict.policy)
