"""A plan that is billed by steps, whoever keeps the ledger: each session of an uplink rounds up."""

from dataclasses import replace

import pytest

from tests.ledger.worlds import ASK, KIB, PHONE, ROW, World, claimed, counter, limits, settled
from tripgate.core.model import PLAN, Limit, Period, Session
from tripgate.ledger.memorysessions import MOST
from tripgate.ledger.protocol import Ledger, Settlement

STEP = 10 * KIB
FIRST, SECOND = Session("wwan0", "first", STEP), Session("wwan0", "second", STEP)
OTHER = Session("wlan1", "first", STEP)


def plan_limits(limit: int | None = None, trip: int = 0) -> tuple[Limit, ...]:
    return (*limits(), *limits(limit, start=trip, target=PLAN, period=Period.TRIP))


def row(used: int, session: Session | None = FIRST, lease: str = "gw:one:1") -> Settlement:
    return replace(ROW, lease=lease, limits=plan_limits(), used=used, session=session)


async def billed(ledger: Ledger) -> int:
    return (await counter(ledger, PLAN, Period.TRIP))[0]


@pytest.mark.parametrize(
    ("uses", "bill"),
    [
        ((1,), STEP),
        ((STEP,), STEP),
        ((STEP + 1,), 2 * STEP),
        ((1, 2, STEP), STEP),
        ((1, STEP, STEP + 1, 3 * STEP + 5), 4 * STEP),
    ],
)
async def test_what_a_session_moves_is_rounded_up_to_the_step_once(
    world: World, uses: tuple[int, ...], bill: int
) -> None:
    ledger = await claimed(world)
    for used in uses:
        await settled(ledger, row(used))
    assert await billed(ledger) == bill
    assert (await counter(ledger))[0] == uses[-1], "a device counts what it moved"


@pytest.mark.parametrize(
    ("sessions", "bill"),
    [
        ((FIRST, FIRST), 1),
        ((FIRST, SECOND), 2),
        ((FIRST, OTHER), 2),
        ((FIRST, OTHER, FIRST), 2),
        ((FIRST, OTHER, SECOND, OTHER), 3),
        ((FIRST, SECOND, FIRST), 3),
    ],
)
async def test_every_session_of_every_uplink_is_rounded_up_by_itself(
    world: World, sessions: tuple[Session, ...], bill: int
) -> None:
    ledger = await claimed(world)
    for number, session in enumerate(sessions, 1):
        await settled(ledger, row(number, session))
    assert await billed(ledger) == bill * STEP


async def test_all_leases_of_a_session_are_rounded_up_together(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, *(row(100, lease=f"gw:one:{number}") for number in range(5)))
    assert await billed(ledger) == STEP


async def test_a_repeated_settlement_is_billed_once(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, row(STEP + 1))
    await settled(ledger, row(STEP + 1), row(3))
    assert await billed(ledger) == 2 * STEP


async def test_a_lease_of_a_run_that_crashed_is_of_the_last_session(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, row(100))
    await settled(ledger, row(200, None, "gw:one:2"))
    assert await billed(ledger) == STEP
    await settled(ledger, row(STEP, None, "gw:one:2"))
    assert await billed(ledger) == 2 * STEP


async def test_what_one_plan_has_paid_ahead_is_not_the_next_ones(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, row(1))
    await settled(ledger, replace(row(1, lease="gw:one:2"), limits=plan_limits(trip=5)))
    assert await counter(ledger, PLAN, Period.TRIP) == (STEP, ROW.granted - 1)
    late = replace(row(2), final=True)
    await settled(ledger, late)
    await settled(ledger, replace(row(2, lease="gw:one:2"), limits=plan_limits(trip=5)))
    assert await billed(ledger) == STEP, "a late row of the plan before ended no session"


async def test_without_a_step_a_plan_is_billed_what_moved(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, row(123, replace(FIRST, step=1)))
    assert await billed(ledger) == 123


async def test_without_any_session_a_plan_is_billed_what_moved(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, row(123, None))
    assert await billed(ledger) == 123


@pytest.mark.parametrize(
    ("limit", "moved", "left"),
    [
        (25 * KIB, 0, 20 * KIB),  # the third step would pass the limit
        (25 * KIB, STEP + KIB, 9 * KIB),
        (25 * KIB, 2 * STEP, 0),
        (STEP - 1, 0, 0),
        (3 * STEP, KIB, 3 * STEP - KIB),
    ],
)
async def test_whole_steps_are_granted_and_what_is_paid_already(
    world: World, limit: int, moved: int, left: int
) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, limits=plan_limits(limit), session=FIRST)
    if moved:
        await settled(ledger, replace(row(moved, lease="gw:one:2"), final=True))
    assert (await ledger.grant(ask)).granted == left


async def test_a_session_that_begins_pays_its_first_step_again(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, replace(row(1, lease="gw:one:2"), final=True))
    ask = replace(ASK, limits=plan_limits(2 * STEP - 1), session=SECOND)
    assert (await ledger.grant(ask)).granted == 0
    assert (await ledger.grant(replace(ask, session=FIRST))).granted == STEP - 1


async def test_uplinks_without_number_leave_a_bounded_record(world: World) -> None:
    ledger = await claimed(world)
    for number in range(2 * MOST):
        await settled(ledger, row(number + 1, Session(f"ppp{number}", "x", STEP)))
    assert await billed(ledger) == 2 * MOST * STEP
    await settled(ledger, row(2 * MOST + 1, Session(f"ppp{2 * MOST - 1}", "x", STEP)))
    assert await billed(ledger) == 2 * MOST * STEP, "the last one goes on"
    await settled(ledger, row(2 * MOST + 2, Session("ppp0", "x", STEP)))
    assert await billed(ledger) == (2 * MOST + 1) * STEP, "the first one was forgotten"


@pytest.mark.parametrize(
    "session", [Session("a b", "x", 1), Session("a", "", 1), Session("a", "x", 0)]
)
async def test_what_is_no_session_is_the_callers_mistake(world: World, session: Session) -> None:
    ledger = await claimed(world)
    with pytest.raises(ValueError, match="session"):
        await settled(ledger, row(1, session))


async def test_a_device_has_no_session(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, limits=limits(KIB, target=PHONE), session=FIRST))
    assert (await counter(ledger)) == (0, KIB)
