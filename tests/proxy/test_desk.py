"""The lease desk: grants, refusals, and what happens when the rules change under way."""

import asyncio
import copy
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.desk_world import NOON, CountingFlow, World
from tripgate.core import book
from tripgate.core.lease import IDLE_S, SLICE_MIN
from tripgate.core.meter import Meter, WireState
from tripgate.core.model import PLAN, Cap, DeviceState, Period, device_target
from tripgate.ledger.journal import Journal
from tripgate.ledger.progress import Progress
from tripgate.ledger.protocol import Grant, GrantRequest, LedgerDown
from tripgate.proxy.account import Refusal
from tripgate.proxy.desk import AGAIN_LEDGER_S, REFUSED_S

DAY_S = 86_400
MB = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World().open(tmp_path)
    yield made
    await made.journal.aclose()


async def test_nothing_moves_before_a_grant(world: World) -> None:
    assert world.flow().meter.take_down(1) == 0


async def test_a_grant_lets_bytes_move_and_they_are_settled(world: World) -> None:
    assert await world.move(world.flow(), 5 * MB) == 5 * MB
    await world.settler.settle()
    assert (await world.used())[0] == 5 * MB


async def test_a_cap_gives_exactly_its_volume_and_cuts_every_flow(world: World) -> None:
    await world.cap(3 * MB)
    busy, idle = world.flow(), world.flow()
    assert await world.move(busy, 10 * MB) == 3 * MB
    assert (busy.alive, idle.alive) == (False, False)
    assert world.account.refusal
    assert world.account.refusal.kind == "cap"
    assert world.account.refusal.limit
    assert world.account.refusal.limit.limit == 3 * MB


async def test_raising_a_cap_opens_again_at_once(world: World) -> None:
    await world.cap(1 * MB)
    await world.move(world.flow(), 2 * MB)
    await world.cap(4 * MB)
    assert await world.move(world.flow(), 10 * MB) == 3 * MB


async def test_lowering_a_cap_stops_a_lease_that_was_granted_before(world: World) -> None:
    await world.move(world.flow(), 1)
    await world.cap(SLICE_MIN // 2)
    moved = await world.move(world.flow(), SLICE_MIN)
    assert moved == SLICE_MIN // 2 - 1


async def test_an_edit_that_is_not_about_a_device_leaves_its_lease_alone(world: World) -> None:
    await world.move(world.flow(), 1)
    lease = world.account.lease
    await world.edit(lambda current: book.add_person(current, "ana"))
    await world.move(world.flow(), SLICE_MIN)
    assert world.account.lease is lease


async def test_a_blocked_device_is_cut_and_gets_nothing(world: World) -> None:
    flow = world.flow()
    await world.move(flow, 1)
    await world.edit(lambda current: book.block_device(current, "phone"))
    assert not flow.alive
    assert world.flow().meter.take_down(1) == 0


async def test_a_new_day_gives_a_daily_cap_again(world: World) -> None:
    await world.cap(1 * MB)
    assert await world.move(world.flow(), 2 * MB) == 1 * MB
    world.clock.now += DAY_S
    world.desk.turn()
    assert await world.move(world.flow(), 2 * MB) == 1 * MB
    await world.settler.settle()
    assert (await world.used(Period.TRIP))[0] == 2 * MB


async def test_while_the_clock_is_not_trusted_no_day_turns(world: World) -> None:
    await world.cap(1 * MB)
    assert await world.move(world.flow(), 2 * MB) == 1 * MB
    world.clock.trust = False
    world.clock.now += DAY_S
    world.desk.turn()
    assert await world.move(world.flow(), 2 * MB) == 0


async def test_an_edit_while_the_clock_is_not_trusted_turns_no_day(world: World) -> None:
    await world.cap(1 * MB)
    assert await world.move(world.flow(), 2 * MB) == 1 * MB
    world.clock.trust = False
    world.clock.now += DAY_S
    await world.cap(1 * MB + 1)
    assert await world.move(world.flow(), 2 * MB) == 1


async def test_without_the_ledger_a_flow_spends_its_lease_and_is_cut(world: World) -> None:
    flow = world.flow()
    await world.move(flow, 1)
    world.store.down = "gone"
    world.stats.ledger_up = False  # no patience: the clock of this test does not move
    assert await world.move(flow, 100 * MB) == SLICE_MIN - 1
    assert not flow.alive
    assert world.account.refusal
    assert world.account.refusal.kind == "ledger"


async def test_what_could_not_be_settled_is_settled_once_when_the_ledger_is_back(
    world: World,
) -> None:
    await world.move(world.flow(), 2 * MB)
    world.store.down = "gone"
    await world.settler.settle()
    await world.settler.settle()
    world.store.down = ""
    await world.settler.settle()
    await world.settler.settle()
    assert (await world.used())[0] == 2 * MB


async def test_an_answer_that_was_lost_is_not_counted_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.move(world.flow(), 2 * MB)
    real = world.ledger.settle

    async def lost(*args: object) -> tuple[int, ...]:
        await real(*args)  # type: ignore[arg-type]
        raise LedgerDown("the answer was lost")

    monkeypatch.setattr(world.ledger, "settle", lost)
    await world.settler.settle()
    monkeypatch.setattr(world.ledger, "settle", real)
    await world.move(world.flow(), 1 * MB)
    await world.settler.settle()
    assert (await world.used())[0] == 3 * MB


async def test_an_idle_lease_goes_back(world: World) -> None:
    await world.move(world.flow(), 1)
    world.settler.measure()
    world.clock.now += IDLE_S
    world.settler.measure()
    await world.settler.settle()
    assert await world.used() == (1, 0)


async def test_after_a_lease_went_back_the_next_byte_opens_another(world: World) -> None:
    await world.move(world.flow(), 1)
    world.account.revoke()
    await world.settler.settle()
    assert await world.move(world.flow(), 5) == 5


async def test_closing_settles_everything_and_leaves_nothing_reserved(world: World) -> None:
    await world.cap(50 * MB)
    await world.move(world.flow(), 2 * MB)
    assert await world.settler.close()
    assert await world.used() == (2 * MB, 0)


async def test_bytes_that_end_after_their_lease_was_closed_are_counted(world: World) -> None:
    flow = world.flow()
    await world.move(flow, 10)
    world.account.revoke()
    await world.settler.settle()
    flow.meter.take_down(0)
    world.account.end(flow, WireState(sent=0, received=25))
    await world.settler.settle()
    assert (await world.used())[0] == 25


async def test_near_a_cap_the_windows_together_stay_within_half_of_what_is_left(
    world: World,
) -> None:
    await world.cap(2 * MB)
    one, two = world.flow(), world.flow()
    await world.move(one, 1 * MB)
    assert sum(flow.windows[-1] for flow in (one, two)) <= 1 * MB // 2 + MB // 5


async def test_near_a_cap_one_flow_leaves_room_for_those_that_follow(world: World) -> None:
    await world.cap(8 * MB)
    flow = world.flow()
    await world.move(flow, 1)
    assert flow.windows[-1] <= 8 * MB // 16
    assert world.account.first_window() <= 8 * MB // 16


async def test_what_arrived_and_waits_is_offered_to_no_other_flow(world: World) -> None:
    await world.cap(8 * MB)
    slow, quick = world.flow(), world.flow()
    slow.arrived = WireState(sent=0, received=6 * MB)
    await world.move(quick, 1 * MB)
    await world.move(quick, 1 * MB)
    assert quick.windows[-1] == 0


async def test_what_was_offered_and_not_used_is_offered_to_no_other_flow(world: World) -> None:
    await world.cap(8 * MB)
    flows = [world.flow() for _ in range(8)]
    await world.move(flows[0], 4 * MB)
    offered = flows[1].windows[0] * 7
    assert 8 * flows[0].windows[-1] <= (4 * MB - offered) // 2


async def test_without_a_cap_windows_are_left_alone(world: World) -> None:
    flow = world.flow()
    await world.move(flow, 1 * MB)
    assert flow.windows == []


async def test_where_the_journal_fails_there_is_no_grant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tripgate.ledger.journal import JournalFull

    async def full(record: object) -> None:
        raise JournalFull("no space")

    world.stats.ledger_up = False
    monkeypatch.setattr(world.journal, "granted", full)
    assert await world.move(world.flow(), 1) == 0


async def test_a_device_on_a_shared_plan_does_not_take_all_that_is_left(world: World) -> None:
    await world.edit(
        lambda now: book.set_cap(
            book.add_device(now, "ip:10.0.0.3", 0, entropy="12345678",
                            state=DeviceState.APPROVED)[0],
            Cap(PLAN, Period.DAY, 1 * MB),
        )
    )  # fmt: skip
    other = next(one for one in world.desk.book.devices if one != world.phone.id)
    world.desk.account(other).flows.add(world.flow())
    await world.desk.more(world.account)
    assert world.account.budget.granted <= 1 * MB // 4


async def test_a_ledger_that_settles_and_cannot_grant_is_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(request: GrantRequest) -> Grant:
        raise LedgerDown("out of memory")

    monkeypatch.setattr(world.ledger, "grant", full)
    world.stats.ledger_up = False  # no patience
    assert not await world.desk.more(world.account)
    await world.settler.settle()
    assert not world.stats.ledger_up
    world.clock.now += REFUSED_S + 1
    await world.settler.settle()
    assert world.stats.ledger_up


async def test_a_device_whose_flow_is_over_already_was_seen(world: World) -> None:
    world.account.join(flow := CountingFlow(Meter(world.account, "a.example", "")))
    world.account.end(flow, None)
    await world.settler.settle()
    assert (await world.ledger.tallies([])).seen == {world.phone.id: int(world.clock.now)}


async def test_a_device_that_does_nothing_is_not_seen_again(world: World) -> None:
    world.account.join(flow := CountingFlow(Meter(world.account, "a.example", "")))
    world.account.end(flow, None)
    await world.settler.settle()
    at = int(world.clock.now)
    world.clock.now += 100
    await world.settler.settle()
    assert (await world.ledger.tallies([])).seen == {world.phone.id: at}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks before Python 3.12")
async def test_a_reading_that_asks_for_more_while_more_is_asked_for_asks_once(world: World) -> None:
    """mitmproxy's tasks are eager from Python 3.12 on."""
    readings = 0

    async def read() -> bool:
        nonlocal readings
        readings += 1
        world.desk.low(world.account)
        world.desk.lost = False
        return True

    world.desk.settle_now = read
    world.desk.lost = True
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    assert await world.desk.more(world.account)
    assert readings == 1


async def test_while_the_clock_is_not_trusted_no_hour_is_free(world: World) -> None:
    world.clock.trust = False
    target = device_target(world.phone.id)
    cap = Cap(target, Period.DAY, MB, created_at=NOON, free=(0, 23 * 60))
    await world.edit(lambda current: book.set_cap(current, cap))
    assert await world.move(world.flow(), 2 * MB) == MB


async def test_while_the_clock_is_not_trusted_no_day_rolls(world: World) -> None:
    world.clock.trust = False
    world.desk.terms.starts = {}
    cap = Cap(device_target(world.phone.id), Period.DAY, MB, created_at=NOON, roll=True)
    world.clock.now += 10 * DAY_S
    await world.edit(lambda current: book.set_cap(current, cap))
    assert await world.move(world.flow(), 2 * MB) == MB


async def test_a_ledger_that_forgot_an_open_lease_is_told_of_it_again(world: World) -> None:
    await world.cap(50 * MB)
    before = copy.deepcopy(vars(world.store))
    await world.move(world.flow(), 2 * MB)
    await world.settler.settle()
    used = await world.used()
    vars(world.store).update(before)
    world.desk.lost = True
    await world.settler.settle()
    assert used[0] == 2 * MB
    assert await world.used() == used


async def test_an_account_with_bytes_to_settle_is_not_forgotten(world: World) -> None:
    flow = world.flow()
    await world.move(flow, MB)
    world.account.end(flow, None)
    await world.edit(lambda current: book.block_device(current, "phone"))
    world.desk.forget_idle()
    await world.settler.settle()
    assert (await world.used())[0] == MB


async def test_a_refusal_of_the_ledger_is_not_for_ever(world: World) -> None:
    world.account.refusal = Refusal("ledger", at=world.clock.now)
    world.clock.now += AGAIN_LEDGER_S
    world.desk.try_again(world.account)
    await world.desk._asking[world.phone.id]
    assert world.account.refusal is None


async def test_a_refusal_stands_for_a_while(world: World) -> None:
    world.account.refusal = Refusal("ledger", at=world.clock.now)
    world.clock.now += AGAIN_LEDGER_S / 2
    world.desk.try_again(world.account)
    assert not world.desk.asking(world.account)


async def test_bytes_that_asked_nobody_survive_a_crash_while_the_ledger_is_down(
    world: World, tmp_path: Path
) -> None:
    world.store.down = "gone"
    flow = world.flow()
    world.account.end(flow, WireState(sent=0, received=25))
    await asyncio.gather(*world.desk._noting)
    after = Journal(Path(shutil.copy(tmp_path / "journal", tmp_path / "left")))
    (found,) = (await after.recover(Progress(tmp_path / "progress", "boot"))).leases
    await after.aclose()
    assert (found.used, found.exact) == (25, True)


async def test_a_lease_that_was_settled_before_it_was_journalled_is_closed_there(
    world: World, tmp_path: Path
) -> None:
    world.account.end(world.flow(), WireState(sent=0, received=25))
    world.account.rotate()
    await world.settler.settle()
    await asyncio.gather(*world.desk._noting)
    (lease,) = world.journal.recent()
    assert lease.used == 25
