"""The counter of drains: what it counts is what the ledger's hours say, once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core.classify import Catalogue, Service
from tripgate.core.drain import LEAST
from tripgate.core.labels import MOST_SERVICES
from tripgate.core.usage import HOUR_S, increments
from tripgate.drainwatch import LOOK_BACK_S, DrainWatch
from tripgate.ledger.protocol import LedgerDown, Settlement

MB = 1_000_000
CLOUD = Service("iCloud", "cloud-sync")
MAIL = Service("Gmail", "email")


class Drained(World):
    """A world whose phone is used by service."""

    def watch(self) -> DrainWatch:
        return DrainWatch(self.desk, Catalogue({}))

    async def use(self, volume: int, service: Service = CLOUD) -> None:
        now = int(self.clock.now)
        self.desk.account(self.phone.id)
        made = increments(self.phone.id, service, None, volume, 0, now, self.desk.starts)
        lease = f"x:{self.used_so_far}:1"
        self.used_so_far += 1
        row = Settlement(lease, self.phone.id, volume, volume, True, (), True, volume, made)
        await self.ledger.settle([row], {}, now)

    used_so_far = 0

    def counted(self, watch: DrainWatch, service: Service = CLOUD) -> int | None:
        return watch.totals.get((self.phone.id, service.name))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Drained]:
    made = Drained()
    await made.open(tmp_path)
    yield made
    await made.journal.aclose()


async def test_a_drain_is_shown_as_0_first_and_then_with_its_bytes(world: Drained) -> None:
    watch = world.watch()
    await watch.look()
    await world.use(5 * MB)
    await watch.look()
    assert world.counted(watch) == 0
    await watch.look()
    assert world.counted(watch) == 5 * MB


async def test_looking_again_counts_nothing_twice(world: Drained) -> None:
    watch = world.watch()
    await watch.look()
    await world.use(5 * MB)
    for _ in range(4):
        await watch.look()
    await world.use(2 * MB)
    await watch.look()
    assert world.counted(watch) == 7 * MB


async def test_what_was_used_before_the_start_is_not_counted(world: Drained) -> None:
    await world.use(5 * MB)
    watch = world.watch()
    for _ in range(3):
        await watch.look()
    await world.use(2 * MB)
    await watch.look()
    assert world.counted(watch) == 2 * MB


async def test_less_than_a_drain_is_not_shown(world: Drained) -> None:
    watch = world.watch()
    await watch.look()
    await world.use(LEAST - 1)
    await watch.look()
    assert watch.totals == {}


async def test_a_guess_waits_for_the_end_of_its_hour(world: Drained) -> None:
    watch = world.watch()
    await watch.look()
    await world.use(5 * MB, MAIL)
    for _ in range(3):
        await watch.look()
    assert world.counted(watch, MAIL) == 0
    world.clock.now += HOUR_S
    await watch.look()
    assert world.counted(watch, MAIL) == 5 * MB


async def test_a_stretch_is_counted_through_the_night_and_little_is_remembered(
    world: Drained,
) -> None:
    watch = world.watch()
    await watch.look()
    for _ in range(24):
        await world.use(2 * MB)
        await watch.look()
        await watch.look()
        world.clock.now += HOUR_S
    assert world.counted(watch) == 48 * MB
    assert watch._counted is not None
    assert len(watch._counted) <= LOOK_BACK_S // HOUR_S + 3


async def test_services_beyond_the_bound_are_one(world: Drained) -> None:
    watch = world.watch()
    await watch.look()
    for number in range(MOST_SERVICES + 5):
        await world.use(2 * MB, Service(f"service {number}", "telemetry"))
    await watch.look()
    await watch.look()
    assert len(watch.totals) == MOST_SERVICES + 1
    assert watch.totals[world.phone.id, "other"] == 10 * MB


async def test_with_the_ledger_down_the_counter_stands(
    world: Drained, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = world.watch()
    await watch.look()
    await world.use(5 * MB)
    await watch.look()

    async def away(*_: object) -> None:
        raise LedgerDown("away")

    with monkeypatch.context() as patched:
        patched.setattr(world.ledger, "buckets", away)
        with pytest.raises(LedgerDown):
            await watch.look()
        assert world.counted(watch) == 0
    await watch.look()
    assert world.counted(watch) == 5 * MB
