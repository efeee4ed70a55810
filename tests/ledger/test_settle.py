"""Settlements, whoever keeps the ledger."""

from dataclasses import replace

import pytest

from tests.ledger.worlds import (
    ANA,
    ASK,
    DAY,
    MIB,
    NOW,
    PHONE,
    ROW,
    World,
    claimed,
    counter,
    counters,
    limits,
    settled,
)
from tripgate.core.model import PLAN, Period
from tripgate.core.usage import Increment
from tripgate.ledger.protocol import Settlement

LIFE = "use:dev-aaaa:life"


def parted(row: Settlement, parts: int, name: str = "web|u") -> Settlement:
    """With ``parts`` bytes of known origin, and a place for the rest."""
    return replace(
        row,
        parts=parts,
        increments=(Increment(LIFE, name, parts),),
        rest=(Increment(LIFE, "unknown|d", 1), Increment("use:dev-aaaa:day:0", "unknown|d", 1)),
    )


# -- reserve and use ---------------------------------------------------------------------------


async def test_what_was_used_is_no_longer_reserved(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    assert await settled(ledger, replace(ROW, used=300)) == (300,)
    assert await counter(ledger) == (300, MIB - 300)


async def test_use_is_cumulative_so_that_repeats_and_late_calls_change_nothing(
    world: World,
) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    rows = [replace(ROW, used=used) for used in (100, 300, 300, 100)]
    assert [await settled(ledger, row) for row in rows] == [(100,), (200,), (0,), (0,)]
    assert await counter(ledger) == (300, MIB - 300)


async def test_the_final_row_closes_the_lease_and_frees_the_rest(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=300, final=True))
    assert await counter(ledger) == (300, 0)
    assert await ledger.open_leases() == ()


async def test_a_closed_lease_closes_once(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    row = replace(ROW, used=300, final=True)
    assert await settled(ledger, row, row) == (300, 0)
    assert await settled(ledger, row, replace(row, used=200, final=False)) == (0, 0)
    assert await counter(ledger) == (300, 0)
    assert await ledger.open_leases() == ()


async def test_bytes_that_come_after_the_end_are_counted_too(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=300, final=True))
    assert await settled(ledger, replace(ROW, used=500, final=True)) == (200,)
    assert await counter(ledger) == (500, 0)


async def test_an_overrun_is_recorded_past_the_limit(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, limits=limits(MIB)))
    await settled(ledger, replace(ROW, used=2 * MIB))
    assert await counter(ledger) == (2 * MIB, 0)


async def test_an_overrun_does_not_free_the_reserve_of_others(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await ledger.grant(replace(ASK, lease="gw:one:2"))
    await settled(ledger, replace(ROW, used=5 * MIB, final=True))
    assert await counter(ledger) == (5 * MIB, MIB)


async def test_many_rows_are_settled_in_one_call(world: World) -> None:
    ledger = await claimed(world)
    rows = [replace(ROW, lease=f"gw:one:{n}", used=n, final=True) for n in range(1, 51)]
    assert await settled(ledger, *rows) == tuple(range(1, 51))
    assert await counter(ledger) == (sum(range(1, 51)), 0)


async def test_no_rows_are_a_heartbeat(world: World) -> None:
    assert await settled(await claimed(world)) == ()


# -- leases that the store lost ----------------------------------------------------------------


async def test_a_lost_lease_is_made_from_its_row(world: World) -> None:
    ledger = await claimed(world)
    assert await settled(ledger, replace(ROW, used=300)) == (300,)
    assert await counter(ledger) == (300, MIB - 300)
    assert await ledger.open_leases() == (ROW.lease,)


async def test_a_lost_grant_is_reserved_again(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, granted=3 * MIB, used=MIB))
    assert await counter(ledger) == (MIB, 2 * MIB)


async def test_a_lost_lease_that_ends_with_nothing_used_can_not_be_granted_late(
    world: World,
) -> None:
    ledger = await claimed(world)
    await settled(ledger, replace(ROW, granted=0, final=True))
    assert (await ledger.grant(ASK)).granted == 0
    assert (await counters(ledger))[PHONE, Period.DAY].reserved == 0


async def test_a_lost_lease_with_a_later_start_turns_the_period(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, replace(ROW, used=300, final=True))
    tomorrow = replace(ROW, lease="gw:one:2", used=70, limits=limits(start=DAY + 86400))
    await settled(ledger, tomorrow)
    assert await counter(ledger) == (70, MIB - 70)


async def test_a_lost_lease_does_not_turn_it_by_an_untrusted_clock(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, replace(ROW, used=300, final=True))
    ahead = limits(start=DAY + 86400)
    await settled(ledger, replace(ROW, lease="gw:one:2", used=70, limits=ahead, trusted=False))
    found = (await counters(ledger))[PHONE, Period.DAY]
    assert (found.start, found.used) == (DAY, 370)


async def test_a_lost_lease_of_a_period_that_is_over_does_not_count_in_the_new_one(
    world: World,
) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    yesterday = limits(start=DAY - 86400)
    await settled(ledger, replace(ROW, lease="gw:one:0", used=300, limits=yesterday))
    assert await counter(ledger) == (0, MIB)


async def test_a_known_lease_counts_where_it_was_granted_whatever_its_row_says(
    world: World,
) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=300, limits=limits(start=DAY + 10**9)))
    assert await counter(ledger) == (300, MIB - 300)


async def test_a_lease_of_the_old_period_frees_and_counts_nothing_in_the_new(
    world: World,
) -> None:
    ledger = await claimed(world)
    places = limits() + limits(period=Period.TRIP, start=0)
    tomorrow = limits(start=DAY + 86400) + limits(period=Period.TRIP, start=0)
    await ledger.grant(replace(ASK, limits=places))
    await ledger.grant(replace(ASK, lease="gw:one:2", limits=tomorrow))
    await settled(ledger, replace(ROW, used=300, final=True))
    assert await counter(ledger) == (0, MIB)
    assert await counter(ledger, period=Period.TRIP) == (300, MIB)


# -- a reserve that does not cover its leases (a backup made by other hands) --------------------


@pytest.mark.parametrize("final", [True, False])
async def test_a_reserve_never_falls_below_nothing(world: World, final: bool) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, limits=limits(MIB)))
    await world.set_reserved(PHONE, Period.DAY, 100)
    await settled(ledger, replace(ROW, used=300, final=final))
    assert await counter(ledger) == (300, 0)


async def test_a_lease_that_leaves_a_counter_takes_no_more_than_is_reserved_there(
    world: World,
) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await world.set_reserved(PHONE, Period.DAY, 100)
    await ledger.grant(replace(ASK, have=MIB, want=0, limits=limits(period=Period.TRIP)))
    assert await counter(ledger) == (0, 0)


async def test_a_reserve_that_is_too_small_grants_no_byte_beyond_the_limit(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, limits=limits(MIB)))
    await world.set_reserved(PHONE, Period.DAY, 0)
    await settled(ledger, replace(ROW, used=MIB, final=True))
    refused = await ledger.grant(replace(ASK, lease="gw:one:2", limits=limits(MIB)))
    assert (refused.granted, refused.left) == (0, 0)


# -- usage buckets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "parts", "known", "unknown"),
    [(300, 300, 300, None), (300, 200, 200, 100), (300, 0, 0, 300), (300, 400, None, 300)],
)
async def test_new_bytes_go_to_their_parts_and_the_difference_to_the_rest(
    world: World, used: int, parts: int, known: int | None, unknown: int | None
) -> None:
    ledger = await claimed(world)
    await settled(ledger, parted(replace(ROW, used=used), parts))
    life, day = await ledger.buckets([LIFE, "use:dev-aaaa:day:0"])
    assert (life.get("web|u"), life.get("unknown|d")) == (known, unknown)
    assert day.get("unknown|d") == unknown


async def test_a_repeated_row_adds_to_no_bucket(world: World) -> None:
    ledger = await claimed(world)
    row = parted(replace(ROW, used=300), 300)
    await settled(ledger, row)
    await settled(ledger, row)
    assert await ledger.buckets([LIFE]) == ({"web|u": 300},)


async def test_fields_of_one_bucket_add_up_over_rows_and_calls(world: World) -> None:
    ledger = await claimed(world)
    rows = [parted(replace(ROW, lease=f"gw:one:{n}", used=n), n) for n in (1, 2, 3)]
    await settled(ledger, *rows[:2])
    await settled(ledger, rows[2])
    assert await ledger.buckets([LIFE]) == ({"web|u": 6},)


async def test_a_full_bucket_puts_further_fields_together(world: World) -> None:
    ledger = await claimed(world)
    fields = ["a|u", "a|d", "b|u", "c|d", "c|u", "a|u", "overhead"]
    bounded = tuple(Increment(LIFE, field, 10, most=2) for field in fields)
    await settled(ledger, replace(ROW, used=70, parts=70, increments=bounded))
    expected = {"a|u": 20, "a|d": 10, "other|u": 20, "other|d": 10, "overhead": 10}
    assert await ledger.buckets([LIFE]) == (expected,)


async def test_the_largest_bound_of_a_call_is_the_bucket_s_whoever_names_it(world: World) -> None:
    ledger = await claimed(world)
    first = replace(ROW, used=10, parts=10, increments=(Increment(LIFE, "a|u", 10),))
    second = replace(
        ROW,
        lease="gw:one:2",
        used=20,
        parts=20,
        increments=(Increment(LIFE, "b|u", 10, most=2), Increment(LIFE, "c|u", 10, most=1)),
    )
    await settled(ledger, first, second)
    assert await ledger.buckets([LIFE]) == ({"a|u": 10, "b|u": 10, "other|u": 10},)


async def test_an_absent_bucket_is_empty_and_the_order_is_the_question_s(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, parted(replace(ROW, used=5), 5))
    names = ["use:nobody:life", LIFE, *(f"use:nobody:day:{n}" for n in range(1200)), LIFE]
    found = await ledger.buckets(names)
    assert [len(bucket) for bucket in found] == [0, 1, *[0] * 1200, 1]


# -- what else is kept -------------------------------------------------------------------------


async def test_devices_that_were_seen_are_remembered(world: World) -> None:
    ledger = await claimed(world)
    await ledger.settle([], {"dev-a": NOW, "dev-b": NOW - 5}, NOW)
    await ledger.settle([], {"dev-b": NOW + 1}, NOW + 1)
    assert (await ledger.tallies([])).seen == {"dev-a": NOW, "dev-b": NOW + 1}


async def test_of_very_many_devices_the_last_seen_are_remembered(world: World) -> None:
    ledger = await claimed(world)
    await ledger.settle([], {f"old-{n}": NOW for n in range(200)}, NOW)
    await ledger.settle([], {f"new-{n}": NOW + 1 for n in range(399)}, NOW + 1)
    seen = (await ledger.tallies([])).seen
    assert sorted(device[:3] for device in seen) == ["new"] * 399 + ["old"]


async def test_a_closed_lease_is_remembered_while_the_gateway_is_off(world: World) -> None:
    ledger = await claimed(world)
    row = replace(ROW, used=300, final=True)
    await settled(ledger, row)
    later = NOW + 30 * 86400
    assert await settled(ledger, row, now=later) == (0,)
    assert await settled(ledger, row, now=later + 4) == (0,)


async def test_closed_leases_are_forgotten_after_ten_minutes_of_contact(world: World) -> None:
    ledger = await claimed(world)
    row = replace(ROW, used=300, final=True)
    await settled(ledger, row)
    for second in range(5, 700, 5):
        await settled(ledger, now=NOW + second)
    assert await settled(ledger, row, now=NOW + 700) == (300,)


async def test_counters_of_targets_that_were_never_used_are_absent(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    assert set(await counters(ledger, [PHONE, ANA, PLAN])) == {(PHONE, Period.DAY)}
