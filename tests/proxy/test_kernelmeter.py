"""The kernel counts, the accounts pay: readings, estimates, the kernel's own part of a budget."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.kernel_world import KernelWorld
from tripgate.core import book, marks
from tripgate.core.counts import SlotCount, Volume
from tripgate.core.gap import LOOKS
from tripgate.core.lease import IDLE_S, SLICE_MIN
from tripgate.core.meter import WireState
from tripgate.core.model import GATEWAY, UNATTRIBUTED
from tripgate.kernel.posted import PostedPage
from tripgate.ledger.journal import Journal
from tripgate.ledger.progress import Progress
from tripgate.proxy.desk import AGAIN_LEDGER_S
from tripgate.proxy.kernelaccount import SHARED_FROM, SLICE_LEAST
from tripgate.proxy.kernelmeter import KernelMeter

MB = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[KernelWorld]:
    made = KernelWorld(tmp_path)
    await made.open(tmp_path)
    await made.look()
    yield made
    await made.journal.aclose()


async def test_what_the_kernel_counted_is_charged_to_the_byte(world: KernelWorld) -> None:
    world.counters.count(world.phone.slot, Volume(1000, 5 * MB))
    await world.look()
    await world.settler.settle()
    assert (await world.used())[0] == 5 * MB + 1000


async def test_the_count_takes_the_place_of_estimates(world: KernelWorld) -> None:
    await world.move(world.flow(), 3 * MB)
    world.counters.count(world.phone.slot, Volume(2000, MB))
    await world.look()
    assert world.account.budget.taken == MB + 2000
    await world.settler.settle()
    assert (await world.used())[0] == MB + 2000


async def test_bytes_in_send_buffers_stay_charged(world: KernelWorld) -> None:
    flow = world.flow()
    flow.arrived = WireState(sent=40_000, received=0)
    assert flow.meter.take_up(100_000) == 0
    await world.desk.more(world.account)
    flow.meter.take_up(100_000)
    world.counters.count(world.phone.slot, Volume(41_000, 500))
    await world.look()
    assert world.account.budget.taken == 41_500 + 60_000


async def test_bytes_get_the_names_of_the_flows(world: KernelWorld) -> None:
    await world.move(world.flow(), MB)
    world.counters.count(world.phone.slot, Volume(50, MB + 100), 30)
    await world.look()
    assert world.account.lease
    parts = world.account.lease.parts
    assert (parts["a.example"].up, parts["a.example"].down) == (50, MB + 70)
    assert (parts[None].up, parts[None].down) == (0, 30)


async def test_a_reading_that_fell_is_a_new_generation(world: KernelWorld) -> None:
    world.counters.count(world.phone.slot, Volume(0, 700))
    await world.look()
    world.counters.slots[world.phone.slot] = SlotCount(Volume(0, 300))
    await world.look()
    await world.settler.settle()
    assert (await world.used())[0] == 1000


async def test_the_next_run_posts_only_what_came_since(world: KernelWorld, tmp_path: Path) -> None:
    world.counters.count(world.phone.slot, Volume(0, 700))
    await world.look()
    world.counters.count(world.phone.slot, Volume(0, 300))
    page = PostedPage(tmp_path / "posted", "boot")
    KernelMeter(world.desk, world.counters, page).read()
    await world.settler.settle()
    assert (await world.used())[0] == 1000


async def test_the_box_itself_is_charged_to_the_plan(world: KernelWorld) -> None:
    world.counters.count(marks.GATEWAY, Volume(100, 400))
    await world.look()
    await world.settler.settle()
    assert await world.plan_used() == 500
    assert world.meter.gateway == Volume(100, 400)
    assert world.desk.accounts[GATEWAY]


async def test_packets_of_nobody_are_charged_to_the_plan(world: KernelWorld) -> None:
    world.counters.count(marks.NOBODY, Volume(0, 400))
    await world.look()
    await world.settler.settle()
    assert await world.plan_used() == 400
    assert world.meter.unattributed == Volume(0, 400)


async def test_what_only_the_interface_counted_is_unattributed_once_it_stays(
    world: KernelWorld,
) -> None:
    world.counters.beside = Volume(0, 900)
    for _ in range(LOOKS + 2):
        await world.look()
    await world.settler.settle()
    assert await world.plan_used() == 900
    assert UNATTRIBUTED in world.desk.accounts


async def test_a_device_that_is_there_may_forward_without_asking(world: KernelWorld) -> None:
    world.meter.present = {world.phone.id}
    await world.look()
    await world.look(2 * IDLE_S)
    world.settler.measure()
    await world.look()
    assert world.counters.allowed[world.phone.slot] == SLICE_LEAST * 7 // 8


async def test_an_absent_device_gives_its_slice_back(world: KernelWorld) -> None:
    world.meter.present = {world.phone.id}
    await world.look()
    world.meter.present = ()
    await world.look()
    world.settler.measure()
    await world.look(2 * IDLE_S)
    world.settler.measure()
    await world.look()
    await world.settler.settle()
    assert world.counters.allowed[world.phone.slot] == 0
    assert (await world.used())[1] == 0


async def test_the_kernels_part_is_not_given_to_flows_too(world: KernelWorld) -> None:
    await world.cap(SLICE_MIN)
    world.meter.present = {world.phone.id}
    await world.look()
    await world.look()
    kernel = world.counters.allowed[world.phone.slot]
    assert kernel > 0
    moved = await world.move_and_count(world.flow(), MB)
    assert moved + world.counters.allowed[world.phone.slot] <= SLICE_MIN


async def test_a_busy_forwarder_gets_all_that_is_left_and_no_more(world: KernelWorld) -> None:
    await world.cap(2 * MB)
    world.meter.present = {world.phone.id}
    for _ in range(4):
        await world.look()
        allowed = world.counters.allowed[world.phone.slot]
        world.counters.count(world.phone.slot, Volume(0, allowed), allowed)
    for _ in range(30):
        await world.look()
        allowed = world.counters.allowed[world.phone.slot]
        world.counters.count(world.phone.slot, Volume(0, allowed), allowed)
    await world.settler.settle()
    assert (await world.used())[0] == 2 * MB
    assert world.counters.allowed[world.phone.slot] == 0


async def test_a_blocked_device_is_allowed_nothing(world: KernelWorld) -> None:
    world.meter.present = {world.phone.id}
    await world.look()
    await world.edit(lambda current: book.block_device(current, "phone"))
    await world.look()
    assert world.counters.allowed[world.phone.slot] == 0


async def test_raising_a_cap_lets_the_kernel_forward_again(world: KernelWorld) -> None:
    await world.cap(SHARED_FROM)
    world.meter.present = {world.phone.id}
    await world.look()
    await world.look()
    world.counters.count(world.phone.slot, Volume(0, SHARED_FROM), SHARED_FROM)
    await world.look()
    await world.look()
    assert world.counters.allowed[world.phone.slot] == 0
    await world.cap(10 * MB)
    await world.look()
    await world.look()
    assert world.counters.allowed[world.phone.slot] >= SHARED_FROM


async def test_who_gave_an_idle_slice_back_has_another_with_its_first_packet(
    world: KernelWorld,
) -> None:
    await world.cap(10 * MB)
    world.meter.present = {world.phone.id}
    for _ in range(4):
        await world.look(IDLE_S)
        world.settler.measure()
        await world.settler.settle()
    assert (await world.used())[1] == 0
    world.counters.spent = frozenset({world.phone.slot})
    await world.look()
    await world.look()
    assert world.counters.allowed[world.phone.slot] > 0


async def test_a_device_that_a_dead_ledger_refused_forwards_again_by_itself(
    world: KernelWorld,
) -> None:
    world.meter.present = {world.phone.id}
    world.stats.ledger_up, world.store.down = False, "gone"
    await world.look()
    assert world.counters.allowed[world.phone.slot] == 0
    world.store.down = None
    await world.look(AGAIN_LEDGER_S)
    await world.look()
    assert world.counters.allowed[world.phone.slot] > 0


async def test_a_device_that_waits_for_approval_has_no_account(world: KernelWorld) -> None:
    await world.edit(lambda now: book.add_device(now, "ip:10.0.0.3", 0, entropy="11ff11ff")[0])
    await world.look()
    assert list(world.desk.accounts) == [world.phone.id]


async def test_what_the_kernel_counted_without_a_lease_survives_a_crash(
    world: KernelWorld, tmp_path: Path
) -> None:
    world.store.down = "gone"
    world.counters.count(marks.GATEWAY, Volume(100, 400))
    world.settler.read()
    await asyncio.gather(*world.desk._noting)
    after = Journal(Path(shutil.copy(tmp_path / "journal", tmp_path / "left")))
    left = (await after.recover(Progress(tmp_path / "progress", "boot"))).leases
    await after.aclose()
    assert [one.used for one in left if one.lease.device == GATEWAY] == [500]


@pytest.mark.parametrize(
    ("uplink", "whose"), [(100_000, 100_000), (120_000, 100_000), (60_000, 60_000)]
)
async def test_lost_counts_are_the_devices_as_far_as_the_uplink_has_them(
    world: KernelWorld, uplink: int, whose: int
) -> None:
    flow = world.flow()
    assert await world.desk.more(world.account)
    assert flow.meter.take_down(100_000) == 100_000
    world.counters.beside = Volume(0, uplink)
    world.meter.lost()
    for _ in range(LOOKS):
        await world.look()
    await world.settler.settle()
    assert (await world.used())[0] == whose
    assert world.meter.unattributed.total == uplink - whose


async def test_what_has_arrived_and_waits_is_the_devices_too(world: KernelWorld) -> None:
    flow = world.flow()
    assert await world.desk.more(world.account)
    flow.meter.take_down(100_000)
    flow.arrived = WireState(sent=0, received=150_000)
    world.counters.beside = Volume(0, 150_000)
    world.meter.lost()
    await world.look()
    await world.settler.settle()
    assert (await world.used())[0] == 150_000


async def test_an_estimate_is_posted_once(world: KernelWorld) -> None:
    flow = world.flow()
    assert await world.desk.more(world.account)
    flow.meter.take_down(100_000)
    world.counters.beside = Volume(0, 100_000)
    world.meter.lost()
    await world.look()
    world.counters.beside = Volume(0, 150_000)
    world.meter.lost()
    await world.look()
    await world.settler.settle()
    assert (await world.used())[0] == 100_000
