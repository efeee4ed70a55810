"""Readings of a lease desk: what they hold, how often they ask, and that they change nothing."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.desk_world import World
from tripgate.core import book
from tripgate.core.model import PLAN, Cap, Period, Plan, Target, device_target
from tripgate.ledger.protocol import LedgerDown, Tallies
from tripgate.measure import FORECAST_S, FRESH_S, Measure, Uplink
from tripgate.metrics import Both
from tripgate.notify.own import charge
from tripgate.notify.send import Traffic
from tripgate.proxy.enrol import Enroller
from tripgate.proxy.gate import Gate
from tripgate.proxy.warn import Warner


class Observed(World):
    """A world whose ledger counts the readings, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        gate = Gate(self.desk, Enroller(self.desk, self.clock), lambda *_: b"", frozenset)
        self.measure = Measure(gate, self.clock, "explicit")
        self.asked: list[Sequence[Target]] = []
        self.away = False
        tallies = self.ledger.tallies

        async def counted(targets: Sequence[Target]) -> Tallies:
            self.asked.append(targets)
            if self.away:
                raise LedgerDown("away")
            return await tallies(targets)

        self.ledger.tallies = counted  # type: ignore[method-assign]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Observed]:
    one = Observed()
    await one.open(tmp_path)
    yield one
    await one.journal.aclose()


async def test_a_cap_is_read_with_its_use(world: Observed) -> None:
    await world.cap(10_000)
    await world.move(world.flow(), 4_000)
    await world.settler.settle()
    (state,) = (await world.measure.read()).caps
    assert (state.cap.limit, state.used, state.spent) == (10_000, 4_000, False)


async def use_hours(world: Observed, hours: int, volume: int) -> None:
    """So much in each hour so far, and a plan that has ten times as much left."""
    flow = world.flow()
    for _ in range(hours):
        await world.move(flow, volume)
        await world.settler.settle()
        world.clock.now += 3600
    left = (hours + 10) * volume
    await world.edit(lambda now: book.set_plan(now, Plan(volume=left)))


async def test_when_the_plan_runs_out_is_foreseen(world: Observed) -> None:
    await use_hours(world, 8, 1_000_000)
    found = (await world.measure.read()).exhausts_at
    assert found == pytest.approx(world.clock.now + 10 * 3600, abs=3600)


@pytest.mark.parametrize("hours", [0, 5])
async def test_of_too_little_data_no_end_is_foreseen(world: Observed, hours: int) -> None:
    await use_hours(world, hours, 1_000_000)
    assert (await world.measure.read()).exhausts_at is None


async def test_the_week_is_not_read_with_every_scrape(
    world: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await use_hours(world, 8, 1_000_000)
    first = await world.measure.read()
    monkeypatch.setattr(world.ledger, "buckets", None)
    world.clock.now += FORECAST_S - 1
    assert (await world.measure.read()).exhausts_at == first.exhausts_at


async def test_the_warning_that_was_told_is_read(world: Observed) -> None:
    await world.cap(1_000_000)
    await world.move(world.flow(), 850_000)
    await world.settler.settle()
    await Warner(world.desk).look()
    assert list((await world.measure.read()).warned.values()) == [80]


async def test_the_plans_use_is_read(world: Observed) -> None:
    await world.edit(lambda now: book.set_plan(now, Plan(volume=10_000)))
    await world.move(world.flow(), 400)
    await world.settler.settle()
    assert (await world.measure.read()).plan_used == 400


async def test_the_uplink_of_the_explicit_mode_is_what_devices_moved(world: Observed) -> None:
    await world.move(world.flow(), 400)
    await world.settler.settle()
    now = await world.measure.read()
    assert now.uplink == Both(0, 400)
    assert now.unattributed == Both(0, 0)


async def test_an_interfaces_counters_take_the_place_of_the_sockets(world: Observed) -> None:
    counted = Uplink(Both(10, 20), Both(1, 2), Both(3, 4))
    gate = Gate(world.desk, Enroller(world.desk, world.clock), lambda *_: b"", frozenset)
    now = await Measure(gate, world.clock, "router", lambda: counted).read()
    assert (now.uplink, now.gateway, now.unattributed) == counted


async def test_open_flows_are_counted(world: Observed) -> None:
    world.flow()
    assert (await world.measure.read()).flows == {"client": 0, "upstream": 1}


async def test_within_a_second_the_ledger_is_asked_once(world: Observed) -> None:
    for _ in range(5):
        await world.measure.read()
    assert len(world.asked) == 1
    world.clock.now += FRESH_S
    await world.measure.read()
    assert len(world.asked) == 2


async def test_a_cap_that_was_just_set_is_read_with_its_use(world: Observed) -> None:
    await world.move(world.flow(), 400)
    await world.settler.settle()
    await world.measure.read()
    await world.cap(1000)
    (state,) = (await world.measure.read()).caps
    assert state.used == 400


@pytest.mark.parametrize("how", [{"free": (0, 60)}, {"roll": True}], ids=["free hours", "rolls"])
async def test_a_cap_with_a_counter_of_its_own_is_read_with_its_use(
    world: Observed, how: dict[str, Any]
) -> None:
    target, now = device_target(world.phone.id), int(world.clock.now)
    cap = Cap(target, Period.DAY, 1000, created_at=now, **how)
    await world.edit(lambda book_: book.set_cap(book_, cap))
    await world.move(world.flow(), 400)
    await world.settler.settle()
    (state,) = (await world.measure.read()).caps
    assert (state.used, state.remaining) == (400, 600)


async def test_only_targets_with_a_cap_and_the_plan_are_asked_for(world: Observed) -> None:
    await world.cap(1000, Period.DAY)
    await world.cap(5000, Period.WEEK)
    await world.measure.read()
    assert [str(target) for target in world.asked[-1]] == [f"device:{world.phone.id}", str(PLAN)]


async def test_with_the_ledger_gone_the_last_known_use_stands(world: Observed) -> None:
    await world.cap(1000)
    await world.move(world.flow(), 400)
    await world.settler.settle()
    await world.measure.read()
    world.away = True
    world.clock.now += FRESH_S
    (state,) = (await world.measure.read()).caps
    assert state.used == 400


async def test_a_reading_does_not_declare_the_ledger_down(world: Observed) -> None:
    world.away = True
    await world.measure.read()
    assert world.stats.ledger_up
    assert not world.desk.lost


async def test_a_reading_is_not_changed_by_what_happens_later(world: Observed) -> None:
    before = await world.measure.read()
    await world.move(world.flow(), 400)
    await world.settler.settle()
    world.stats.verdicts["allow"] += 1
    assert not before.traffic
    assert not before.verdicts


async def test_what_messages_cost_is_the_gateways_own_and_on_the_uplink(world: Observed) -> None:
    await world.move(world.flow(), 400)
    charge(world.desk, Traffic(30, 50))
    await world.settler.settle()
    now = await world.measure.read()
    assert (now.gateway, now.uplink) == (Both(30, 50), Both(30, 450))
