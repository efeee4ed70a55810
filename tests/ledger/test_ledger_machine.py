"""The same random calls to the ledger in memory and to a real Redis: the same answers, the same
state, and the invariants of a lease in both.

I1 nothing that moved is missing · I2 used + reserved stay within the limit, but for an overrun or
a limit that fell · I3 reserved is what open leases hold · I4 a repeated settlement changes nothing
· I5 a closed lease stays closed · I6 used never falls · I9 with all leases closed nothing is
reserved.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.ledger.dump import memory_state, redis_state
from tests.ledger.worlds import DAY, NOW
from tests.servers import Server
from tripgate.core.book import EMPTY
from tripgate.core.model import PLAN, Limit, Period, Session, Target, device_target, person_target
from tripgate.core.usage import Increment
from tripgate.ledger.memory import MemoryLedger, MemoryRegistry, MemoryStore
from tripgate.ledger.protocol import (
    Edit,
    Fenced,
    GrantRequest,
    Ledger,
    Settlement,
)
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry

DEVICES = ("dev-a", "dev-b")
PERIODS = (Period.DAY, Period.TRIP)
SIZES = st.sampled_from([0, 1, 1000, 65_535, 65_536, 65_537, 200_000, 1_000_000])
SESSIONS = st.sampled_from(
    [None, None, *(Session(*one) for one in (("u", "a", 1), ("u", "b", 9999), ("v", "a", 70_000)))]
)
DAY_S = 86_400


@dataclass
class Held:
    """What a gateway knows of one of its leases. ``sent``: its last settlement."""

    device: str
    granted: int = 0
    used: int = 0
    closed: bool = False
    sent: Settlement | None = None


class LedgerMachine(RuleBasedStateMachine):
    """Two gateways, two devices of one person, one plan."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        with self.server.client() as client:
            client.flushall()
        self.runner = asyncio.Runner()
        self.store = MemoryStore()
        self.redis: dict[str, RedisLedger] = {}
        self.memory: dict[str, MemoryLedger] = {}
        self.registries = (RedisRegistry(self.server.url), MemoryRegistry(self.store))
        self.leases: dict[str, Held] = {}
        self.caps: dict[tuple[Target, Period], int] = {}
        self.lowered: set[tuple[Target, Period]] = set()
        self.high: dict[tuple[Target, Period, int], int] = {}
        self.version, self.now, self.day, self.runs = 0, NOW, DAY, 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def both(self, gateway: str, call: str, *args: Any) -> Any:
        """Make a call of both ledgers; the answer they agree on."""
        answers = []
        for ledgers in (self.redis, self.memory):
            ledger: Ledger = ledgers[gateway]
            try:
                answers.append(self.do(getattr(ledger, call)(*args)))
            except Fenced:
                answers.append(Fenced)
        assert answers[0] == answers[1]
        return answers[0]

    # -- what gateways do -------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        for gateway in ("gw-a", "gw-b"):
            self.claim(gateway, own=True)

    @rule(gateway=st.sampled_from(["gw-a", "gw-b"]), own=st.booleans())
    def claim(self, gateway: str, own: bool) -> None:
        self.runs += 1
        before = getattr(self.memory.get(gateway), "_instance", None) if own else None
        ledgers = RedisLedger(self.server.url), MemoryLedger(self.store)
        answers = []
        for ledger in ledgers:
            try:
                self.do(ledger.claim(gateway, f"run-{self.runs}", before, self.now))
                answers.append(True)
            except Fenced:
                answers.append(False)
        assert answers[0] == answers[1]
        if answers[0]:
            self.redis[gateway], self.memory[gateway] = ledgers

    def limits(self, device: str, early: bool) -> tuple[Limit, ...]:
        day = self.day - DAY_S if early else self.day
        return tuple(
            Limit(
                target, period, day if period is Period.DAY else 0, self.caps.get((target, period))
            )
            for target in (device_target(device), person_target("ana"), PLAN)
            for period in PERIODS
        )

    @rule(
        gateway=st.sampled_from(["gw-a", "gw-b"]),
        number=st.integers(1, 3),
        want=SIZES,
        lost=st.booleans(),
        forgot=st.booleans(),
        share=st.integers(1, 3),
        trusted=st.booleans(),
        early=st.booleans(),
        session=SESSIONS,
    )
    def grant(
        self,
        gateway: str,
        number: int,
        want: int,
        lost: bool,
        forgot: bool,
        share: int,
        trusted: bool,
        early: bool,
        session: Session | None,
    ) -> None:
        device = DEVICES[number % 2]
        lease = f"{gateway}:x:{number}"
        held = self.leases.get(lease) or Held(device)
        request = GrantRequest(
            lease=lease,
            device=device,
            have=held.granted + (5000 if forgot else 0),
            want=want,
            limits=self.limits(device, early),
            share={PLAN: share},
            book_version=self.version,
            trusted=trusted,
            now=self.now,
            session=session,
        )
        if forgot:
            self.lowered |= {(limit.target, limit.period) for limit in request.limits}
        answer = self.both(gateway, "grant", request)
        if answer is Fenced:
            return
        assert answer.granted >= request.have
        assert not (held.closed and answer.granted > request.have)
        if not lost:
            held.granted = answer.granted
        self.leases[lease] = held

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(), over=st.sampled_from([0, 0, 0, 7000]), final=st.booleans(), session=SESSIONS
    )
    def settle(self, data: st.DataObject, over: int, final: bool, session: Session | None) -> None:
        lease = data.draw(st.sampled_from(sorted(self.leases)), "lease")
        held = self.leases[lease]
        used = data.draw(st.integers(held.used, max(held.used, held.granted)), "used") + over
        parts = data.draw(st.sampled_from([used - held.used, 0, used]), "parts")
        limits = self.limits(held.device, early=False)
        if used > held.granted:
            self.lowered |= {(limit.target, limit.period) for limit in limits}
        row = Settlement(
            lease=lease,
            device=held.device,
            granted=held.granted,
            used=used,
            final=final,
            limits=limits,
            trusted=True,
            parts=parts,
            increments=(Increment(f"use:{held.device}:life", f"s{used % 5}|u", parts, most=3),),
            rest=(Increment(f"use:{held.device}:life", "unknown|d", 1),),
            session=session,
        )
        self.lowered |= {(PLAN, period) for period in PERIODS if self.store.sessions.paid}
        gateway = lease.partition(":")[0]
        assert self.both(gateway, "settle", [row], {held.device: self.now}, self.now) == (
            used - held.used,
        )
        held.used, held.closed, held.sent = used, held.closed or final, row

    @precondition(lambda self: any(held.sent for held in self.leases.values()))
    @rule(data=st.data(), late=st.integers(0, 5000))
    def settle_again(self, data: st.DataObject, late: int) -> None:
        """I4: what was sent, or something older, once more."""
        known = sorted(lease for lease, held in self.leases.items() if held.sent)
        lease = data.draw(st.sampled_from(known), "lease")
        row = self.leases[lease].sent
        assert row
        before = memory_state(self.store)
        older = replace(row, used=max(0, row.used - late), final=row.final and late == 0)
        assert self.both(lease.partition(":")[0], "settle", [older, older], {}, self.now) == (0, 0)
        after = memory_state(self.store)
        for part in ("counts", "life", "leases", "buckets", "sessions"):
            assert before[part] == after[part]

    # -- what happens around them -----------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 5, 11, 700]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def day_passes(self) -> None:
        self.now, self.day = self.now + DAY_S, self.day + DAY_S

    @rule(
        whose=st.sampled_from([device_target("dev-a"), person_target("ana"), PLAN]),
        period=st.sampled_from(PERIODS),
        limit=st.none() | SIZES,
    )
    def cap(self, whose: Target, period: Period, limit: int | None) -> None:
        """An edit: limits change, and grants under the old settings are stale."""
        self.lowered.add((whose, period))
        self.caps.pop((whose, period), None)
        if limit is not None:
            self.caps[whose, period] = limit
        for registry in self.registries:
            assert self.do(registry.replace(self.version, EMPTY, Edit("cli:ana", "cap set")))
            assert not self.do(registry.replace(self.version, EMPTY, Edit("cli:ben", "cap set")))
        self.version += 1

    # -- what must hold ---------------------------------------------------------------------

    @invariant()
    def both_hold_the_same(self) -> None:
        with self.server.client() as client:
            assert redis_state(client) == memory_state(self.store)

    @invariant()
    def nothing_is_missing(self) -> None:
        """I1, by device, person and plan, and in the usage buckets."""
        for device in DEVICES:
            moved = sum(held.used for held in self.leases.values() if held.device == device)
            assert self.store.life.get(device_target(device), 0) == moved
            assert sum(self.store.buckets.get(f"use:{device}:life", {}).values()) == moved
        moved = sum(held.used for held in self.leases.values())
        ahead = sum(paid.ahead for paid in self.store.sessions.paid.values())
        billed = self.store.life.get(PLAN, 0)
        assert billed >= moved + ahead
        assert billed == moved or self.store.sessions.paid

    @invariant()
    def limits_hold(self) -> None:
        """I2; a session that begins may pass a plan's limit by less than a step."""
        for place, limit in self.caps.items():
            if place in self.store.counts and place not in self.lowered:
                count = self.store.counts[place]
                assert count.used + count.reserved <= limit

    @invariant()
    def what_is_reserved_is_held(self) -> None:
        """I3."""
        for place, count in self.store.counts.items():
            held = sum(
                lease.held
                for lease in self.store.leases.values()
                if any(at == place for at, _ in self.store.standing(lease.at))
            )
            assert count.reserved == held

    @invariant()
    def closed_stays_closed(self) -> None:
        """I5."""
        for lease, held in self.leases.items():
            if held.closed and lease in self.store.leases:
                assert not self.store.leases[lease].open

    @invariant()
    def used_never_falls(self) -> None:
        """I6."""
        for (target, period), count in self.store.counts.items():
            key = (target, period, count.start)
            assert count.used >= self.high.get(key, 0)
            self.high[key] = count.used

    def teardown(self) -> None:
        """I9, then let go."""
        try:
            for lease in list(self.store.leases):
                row = Settlement(lease, "", 0, 0, True, (), True)
                self.both(lease.partition(":")[0], "settle", [row], {}, self.now)
            assert all(count.reserved == 0 for count in self.store.counts.values())
            self.both_hold_the_same()
        finally:
            for client in (*self.redis.values(), self.registries[0]):
                self.do(client.aclose())
            self.runner.close()


def run(server: Server, examples: int, steps: int, **how: Any) -> None:
    machine = type("Machine", (LedgerMachine,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            **how,
        ),
    )


@pytest.mark.parametrize("server", ["valkey_server", "debian_redis_server"])
def test_memory_and_redis_agree_and_keep_the_invariants(
    request: pytest.FixtureRequest, server: str
) -> None:
    """The same calls in every run. A failure is told as it was found: to shrink it takes minutes,
    and a shrinking that a time limit ends tells of the time limit."""
    where = request.getfixturevalue(server)
    run(where, examples=40, steps=30, derandomize=True, phases=[Phase.generate])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", ["valkey_server", "debian_redis_server"])
def test_they_agree_for_long(request: pytest.FixtureRequest, server: str) -> None:
    run(request.getfixturevalue(server), examples=600, steps=60, phases=[Phase.generate])
