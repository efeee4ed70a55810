"""The kernel counts, the accounts pay: readings, estimates, the kernel's own part of a budget."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.proxy.desk_world import CountingFlow, World
from tripgate.core import book, marks
from tripgate.core.counts import NOTHING, Reading, SlotCount, Volume
from tripgate.core.gap import LOOKS
from tripgate.core.lease import IDLE_S, SLICE_MIN
from tripgate.core.meter import WireState
from tripgate.core.model import GATEWAY, PLAN, UNATTRIBUTED, Cap, DeviceState, Period
from tripgate.core.policy import Policy, Verb
from tripgate.core.policybook import set_policy
from tripgate.kernel.posted import PostedPage
from tripgate.ledger.journal import Journal
from tripgate.ledger.progress import Progress
from tripgate.proxy.account import Refusal
from tripgate.proxy.desk import AGAIN_LEDGER_S
from tripgate.proxy.kernelaccount import SHARED_FROM, SLICE_LEAST, KernelAccount
from tripgate.proxy.kernelmeter import KernelMeter

MB = 1_000_000


class HandCounters:
    """Counters that the test sets, and the allowances that they were given."""

    def __init__(self) -> None:
        self.slots: dict[int, SlotCount] = {}
        self.beside = NOTHING
        self.allowed: dict[int, int] = {}
        self.spent: frozenset[int] = frozenset()

    def count(self, slot: int, total: Volume, forwarded: int = 0) -> None:
        before = self.slots.get(slot, SlotCount())
        self.slots[slot] = SlotCount(before.total + total, before.forwarded + forwarded)

    def read(self) -> Reading:
        everything = sum((count.total for count in self.slots.values()), self.beside)
        return Reading(dict(self.slots), everything, self.spent)

    def allow(self, volumes: Mapping[int, int]) -> None:
        self.allowed |= volumes


class KernelWorld(World):
    """A gateway whose kernel counts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(KernelAccount)
        self.counters = HandCounters()
        self.page = PostedPage(folder / "posted", "boot")
        self.meter = KernelMeter(self.desk, self.counters, self.page)
        self.settler._read = self.meter.read

    async def look(self, seconds: float = 1.0) -> None:
        """One reading; grants that it asks for come in before this returns."""
        self.clock.now += seconds
        self.settler.read()
        while self.desk._asking:
            await asyncio.gather(*self.desk._asking.values())

    async def move_and_count(self, flow: CountingFlow, volume: int) -> int:
        """As ``move``, and the kernel sees it."""
        got = 0
        while got < volume:
            taken = flow.meter.take_down(min(volume - got, 10_000))
            self.counters.count(self.phone.slot, Volume(0, taken))
            got += taken
            if not taken and not await self.desk.more(self.account):
                break
        return got

    async def plan_used(self) -> int:
        tallies = await self.ledger.tallies([PLAN])
        counter = tallies.counters.get((PLAN, Period.DAY))
        return counter.used if counter else 0


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


RATE = 8 * MB
"""A million bytes a second."""


async def slowed(world: KernelWorld, verb: Verb = Verb.THROTTLE) -> None:
    policy = Policy("", verb, "all", rate=RATE if verb is Verb.THROTTLE else None)
    await world.edit(lambda current: set_policy(current, policy))
    await world.look()


async def forwarded(world: KernelWorld, offered: int, readings: int = 80) -> int:
    """What the kernel lets pass of ``offered`` bytes per reading; the rest it drops."""
    passed = 0
    for _ in range(readings):
        let = world.counters.allowed[world.phone.slot]
        passed += min(let, offered)
        world.counters.count(world.phone.slot, Volume(0, offered), offered)
        await world.look(0.75)
        world.settler.measure()
    return passed


@pytest.mark.parametrize("offered", [MB, 10 * MB])
async def test_forwarded_packets_of_a_slowed_device_keep_to_its_rate(
    world: KernelWorld, offered: int
) -> None:
    await slowed(world)
    await forwarded(world, offered, 10)  # the first slices are small
    assert await forwarded(world, offered) == pytest.approx(60 * MB, rel=0.05)


async def test_what_the_kernel_dropped_of_a_slowed_device_is_charged(world: KernelWorld) -> None:
    await slowed(world)
    await forwarded(world, 2 * MB)
    await world.settler.settle()
    assert (await world.used())[0] == 80 * 2 * MB


async def test_nothing_is_forwarded_for_a_device_that_is_paused(world: KernelWorld) -> None:
    await slowed(world, Verb.PAUSE)
    assert world.counters.allowed[world.phone.slot] == 0


async def test_flows_and_forwarded_packets_share_the_rate(world: KernelWorld) -> None:
    await slowed(world)
    flow, passed = world.flow(), 0
    world.desk.judge.follow(world.desk.accounts.values())
    assert flow.bucket is not None
    for _ in range(80):
        let = world.counters.allowed[world.phone.slot]
        world.counters.count(world.phone.slot, Volume(0, let), let)
        passed += let
        for _ in range(25):
            world.clock.now += 0.03
            flow.bucket.fill(world.clock.now)
            share = flow.bucket.share(1)
            flow.bucket.take(share)
            passed += share
        await world.look(0)
    assert passed == pytest.approx(60 * MB, rel=0.05)


async def tablet(world: KernelWorld) -> str:
    """A second approved device; its id."""
    await world.edit(
        lambda now: book.add_device(
            now, "ip:10.0.0.3", 0, entropy="11ff11ff", state=DeviceState.APPROVED, name="tab"
        )[0]
    )
    return next(one.id for one in world.desk.book.devices.values() if one.name == "tab")


async def test_idle_slices_are_there_for_others_when_the_plan_is_nearly_used_up(
    world: KernelWorld,
) -> None:
    tab = await tablet(world)
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, MB)))
    world.meter.present = {tab}
    await world.look()
    assert world.desk.account(tab).budget.granted == MB
    world.meter.present = {world.phone.id, tab}
    for _ in range(300):
        let = world.counters.allowed[world.phone.slot]
        world.counters.count(world.phone.slot, Volume(0, let), let)
        await world.look()
        world.settler.measure()
        await world.settler.settle()
    assert (await world.used())[0] == MB


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


async def test_flows_get_what_was_set_aside_for_packets_before_they_are_refused(
    world: KernelWorld,
) -> None:
    await world.cap(MB)
    world.meter.present = {world.phone.id}
    await world.look()
    world.desk.settle_now = None  # a reading would share out anew
    flow = world.flow()
    while flow.meter.take_down(10_000) or await world.desk.more(world.account):
        pass
    assert (world.account.budget.held, world.account.budget.left) == (0, 0)


async def test_what_flows_take_while_the_last_count_is_settled_does_not_refuse_them(
    world: KernelWorld,
) -> None:
    """What had arrived is in the count; taken again as an estimate it would seem used twice."""
    await world.cap(MB)
    flow = world.flow()
    assert await world.move(flow, MB) == MB
    world.counters.count(world.phone.slot, Volume(0, MB - 10_000))
    count_and_settle = world.settler.count_and_settle

    async def take_meanwhile() -> None:
        await count_and_settle()
        flow.meter.take_down(MB)

    world.desk.settle_now = take_meanwhile
    world.account.refusal = Refusal("ledger", at=world.clock.now)
    world.clock.now += 1.0
    assert await world.desk.more(world.account)
    assert flow.alive


async def test_what_one_device_is_granted_of_a_shared_limit_is_not_left_to_another(
    world: KernelWorld,
) -> None:
    tab = await tablet(world)
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, 100 * MB)))
    world.meter.present = {tab}
    await world.look()
    world.meter.present = {tab, world.phone.id}
    before = world.desk.account(tab).beyond
    await world.look()
    granted = world.account.budget.granted
    assert granted
    assert world.desk.account(tab).beyond == before - granted


async def test_who_shares_a_limit_has_a_share_of_what_is_left_beyond_the_leases(
    world: KernelWorld,
) -> None:
    tab = await tablet(world)
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, 100 * MB)))
    world.meter.present = {tab, world.phone.id}
    await world.look()
    granted = [world.desk.account(one).budget.granted for one in (tab, world.phone.id)]
    assert world.account.beyond
    assert 2 * world.account.beyond <= 100 * MB - max(granted)
