"""The lease protocol keeps its invariants in every state that faults can bring it to."""

from itertools import product

import pytest

from tests.faults.lease_model import Model
from tests.faults.lease_search import search
from tests.faults.lease_state import Call, Faults, Lease, Mutant, Store, reserve
from tests.faults.lease_store import Scripts

TWO = {"gateways": 2, "leases": 1, "limit": 1, "slice_": 1}


def _name(value: object) -> str | None:
    if isinstance(value, Faults):
        left = [name for name, count in value._asdict().items() for _ in range(count)]
        return "+".join(left)
    return value.name if isinstance(value, Mutant) else None


@pytest.mark.parametrize(
    ("faults", "least"),
    [
        (Faults(kills=1, cuts=1, store_cuts=1), 150_000),
        (Faults(kills=1, store_cuts=1, losses=1), 130_000),
        (Faults(cuts=1, losses=1), 50_000),
    ],
    ids=_name,
)
def test_one_gateway_keeps_every_invariant(faults: Faults, least: int) -> None:
    found = search(Model(faults=faults))
    assert (found.rule, found.steps) == (None, ())
    assert found.states > least


@pytest.mark.parametrize(
    "faults", [Faults(kills=1), Faults(cuts=1), Faults(store_cuts=1)], ids=_name
)
def test_two_gateways_that_share_a_limit_keep_every_invariant(faults: Faults) -> None:
    found = search(Model(**TWO, faults=faults))
    assert (found.rule, found.steps) == (None, ())
    assert found.states > 50_000


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "model",
    [
        Model(faults=Faults(kills=1, cuts=1, store_cuts=1, losses=1)),
        Model(faults=Faults(cuts=2, store_cuts=1)),
        Model(limit=3, faults=Faults(kills=1, cuts=1, store_cuts=1)),
        Model(**TWO, faults=Faults(cuts=1, store_cuts=1)),
        Model(**TWO, faults=Faults(kills=1, store_cuts=1)),
        Model(**TWO, faults=Faults(kills=1, losses=1)),
    ],
    ids=lambda model: f"{model.gateways}-limit{model.limit}-{_name(model.faults)}",
)
def test_more_faults_together_break_nothing_either(model: Model) -> None:
    found = search(model)
    assert (found.rule, found.steps) == (None, ())


CAUGHT = {
    Mutant.USE_BEFORE_SYNC: ("I1", Faults(cuts=1)),
    Mutant.CRASH_CHARGES_NOTHING: ("I1", Faults(kills=1)),
    Mutant.PAGE_OUTLIVES_BOOT: ("I1", Faults(cuts=1)),
    Mutant.PAGE_LATE: ("I1", Faults(kills=1)),
    Mutant.PAGE_REUSED: ("I8", Faults(kills=1)),
    Mutant.SETTLE_ADDS: ("I4", Faults()),
    Mutant.SETTLE_NEEDS_LEASE: ("I9", Faults(losses=1)),
    Mutant.GRANT_REPEATS: ("I8", Faults(cuts=1, losses=1)),
    Mutant.NO_FENCE: ("I7", Faults(kills=1)),
    Mutant.CLOSED_TAKES_NOTHING: ("I2", Faults(cuts=1, store_cuts=1)),
    Mutant.NO_TOMBSTONE: ("I4", Faults()),
    Mutant.NO_TOMBSTONE_UNKNOWN: ("I9", Faults(losses=1)),
    Mutant.FORGET_AT_ONCE: ("I1", Faults(store_cuts=1)),
    Mutant.RECOVERY_FORGETS: ("I1", Faults(kills=1, store_cuts=1)),
    Mutant.RECOVERY_NO_SWEEP: ("I9", Faults(kills=1)),
    Mutant.NO_REPLAY: ("I9", Faults(store_cuts=1)),
    Mutant.REPLAY_NO_SWEEP: ("I9", Faults(store_cuts=1, losses=1)),
}


@pytest.mark.parametrize("mutant", Mutant, ids=_name)
def test_the_search_sees_a_broken_rule(mutant: Mutant) -> None:
    invariant, faults = CAUGHT[mutant]
    found = search(Model(limit=3, faults=faults, mutant=mutant))
    assert found.rule is not None
    assert found.rule.partition(":")[0] == invariant, found.steps


def _stores() -> list[Store]:
    leases = [Lease(g, s, c, known=True) for g, s, c in product(range(3), range(3), (False, True))]
    return [Store((x,), (x.settled,), (1,), x.settled, reserve(x)) for x in (Lease(), *leases)]


_ROWS = [
    Call(1, 0, have, used=used, final=final)
    for have, used, final in product(range(3), range(3), (False, True))
]


@pytest.mark.parametrize("store", _stores(), ids=lambda store: str(tuple(store.leases[0])))
def test_settlements_may_come_twice_and_in_any_order(store: Store) -> None:
    scripts = Scripts(limit=9)
    for one, other in product(_ROWS, _ROWS):
        forth = scripts.settle(scripts.settle(store, one), other)
        back = scripts.settle(scripts.settle(store, other), one)
        assert forth._replace(overrun=0) == back._replace(overrun=0)
        assert scripts.settle(forth, one) == forth
