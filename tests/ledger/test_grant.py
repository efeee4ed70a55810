"""Grants, whoever keeps the ledger."""

from dataclasses import replace

import pytest

from tests.ledger.worlds import (
    ANA,
    ASK,
    DAY,
    KIB,
    MIB,
    PHONE,
    ROW,
    World,
    claimed,
    counter,
    counters,
    limits,
    settled,
)
from tripgate.core.book import EMPTY
from tripgate.core.model import PLAN, Limit, Period
from tripgate.ledger.protocol import Edit, Fenced, Grant


async def test_without_a_limit_all_that_is_wanted_is_granted_and_counted(world: World) -> None:
    ledger = await claimed(world)
    assert await ledger.grant(ASK) == Grant(MIB)
    assert await counter(ledger) == (0, MIB)


async def test_a_grant_out_of_no_counter_is_granted_and_stands_in_none(world: World) -> None:
    ledger = await claimed(world)
    assert await ledger.grant(replace(ASK, limits=())) == Grant(MIB)
    row = replace(ROW, limits=(), used=MIB, granted=MIB, final=True)
    assert (await ledger.settle([row], {}, 0))[0] == MIB
    assert not await counters(ledger)


async def test_a_grant_is_reserved_in_every_scope_and_period(world: World) -> None:
    ledger = await claimed(world)
    places = [
        (target, period)
        for target in (PHONE, ANA, PLAN)
        for period in (Period.DAY, Period.MONTH, Period.TRIP)
    ]
    await ledger.grant(replace(ASK, limits=tuple(Limit(*place, DAY) for place in places)))
    found = await counters(ledger)
    assert {place: found[place].reserved for place in places} == dict.fromkeys(places, MIB)


@pytest.mark.parametrize(
    ("limit", "share", "granted", "left"),
    [
        (10 * MIB, 1, MIB, 9 * MIB),
        (MIB, 1, MIB, 0),
        (512 * KIB, 1, 512 * KIB, 0),
        (64 * KIB, 1, 64 * KIB, 0),
        (1, 1, 1, 0),
        (10 * MIB, 2, MIB, 9 * MIB),
        (MIB, 2, MIB // 4, 3 * MIB // 4),
        (MIB, 50, MIB // 100, MIB - MIB // 100),
        (64 * KIB + 1, 50, 655, 64 * KIB + 1 - 655),
        (64 * KIB, 50, 64 * KIB, 0),
    ],
)  # fmt: skip
async def test_a_slice_depends_on_what_is_left_and_on_who_shares_it(
    world: World, limit: int, share: int, granted: int, left: int
) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, limits=limits(limit, target=PLAN), share={PLAN: share})
    assert await ledger.grant(ask) == Grant(granted, left == 0, left, ask.limits[0])


async def test_the_last_64_kib_are_granted_whole_even_if_less_is_wanted(world: World) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, want=1, limits=limits(64 * KIB))
    assert await ledger.grant(ask) == Grant(64 * KIB, True, 0, ask.limits[0])


async def test_the_tightest_scope_decides(world: World) -> None:
    ledger = await claimed(world)
    both = limits(300 * KIB) + limits(MIB, target=PLAN)
    grant = await ledger.grant(replace(ASK, limits=both))
    assert grant == Grant(300 * KIB, final=True, left=0, binding=both[0])


async def test_a_final_unit_of_one_scope_is_cut_by_the_share_of_another(world: World) -> None:
    ledger = await claimed(world)
    both = limits(60 * KIB) + limits(100 * KIB, target=PLAN)
    ask = replace(ASK, limits=both, share={PLAN: 10})
    assert await ledger.grant(ask) == Grant(5 * KIB, left=55 * KIB, binding=both[0])


async def test_with_nothing_left_the_limit_that_binds_is_named(world: World) -> None:
    ledger = await claimed(world)
    both = limits(MIB) + limits(10 * MIB, target=PLAN)
    await ledger.grant(replace(ASK, limits=both))
    await settled(ledger, replace(ROW, used=MIB, limits=both))
    refused = await ledger.grant(replace(ASK, have=MIB, limits=both))
    assert refused == Grant(MIB, left=0, binding=both[0], binding_used=MIB)
    assert (await counters(ledger))[PLAN, Period.DAY].reserved == 0


async def test_of_two_limits_that_bind_the_more_overdrawn_is_named(world: World) -> None:
    ledger = await claimed(world)
    both = limits(100) + limits(50, target=PLAN)
    await settled(ledger, replace(ROW, used=200, limits=both))
    assert (await ledger.grant(replace(ASK, have=MIB, limits=both))).binding == both[1]


async def test_a_limit_of_nothing_refuses_at_once_and_leaves_no_lease(world: World) -> None:
    ledger = await claimed(world)
    refused = await ledger.grant(replace(ASK, limits=limits(0)))
    assert (refused.granted, refused.binding) == (0, limits(0)[0])
    assert await ledger.open_leases() == ()


async def test_grants_of_a_lease_add_up(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    assert await ledger.grant(replace(ASK, have=MIB)) == Grant(2 * MIB)
    assert await counter(ledger) == (0, 2 * MIB)
    assert await ledger.open_leases() == (ASK.lease,)


async def test_a_grant_whose_reply_was_lost_is_given_again_not_granted_again(world: World) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, limits=limits(10 * MIB))
    first = await ledger.grant(ask)
    assert first == await ledger.grant(ask) == Grant(MIB, left=9 * MIB, binding=ask.limits[0])
    assert await counter(ledger) == (0, MIB)


async def test_a_lost_reply_of_the_final_unit_is_final_again(world: World) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, limits=limits(MIB))
    await ledger.grant(ask)
    assert await ledger.grant(ask) == Grant(MIB, True, 0, ask.limits[0])


async def test_a_grant_that_the_store_lost_is_reserved_again_first(world: World) -> None:
    ledger = await claimed(world)
    grant = await ledger.grant(replace(ASK, have=3 * MIB, limits=limits(10 * MIB)))
    assert (grant.granted, grant.left) == (4 * MIB, 6 * MIB)
    assert await counter(ledger) == (0, 4 * MIB)


async def test_a_closed_lease_is_granted_nothing(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=KIB, final=True))
    assert (await ledger.grant(replace(ASK, have=KIB))).granted == KIB
    assert await counter(ledger) == (KIB, 0)


async def test_what_was_overrun_comes_on_top_and_takes_no_reserve(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=MIB + 100))
    grant = await ledger.grant(replace(ASK, have=MIB, want=KIB + 100))
    assert grant == Grant(MIB + 100 + KIB)
    assert await counter(ledger) == (MIB + 100, KIB)


async def test_wanting_no_more_than_was_overrun_reserves_nothing(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=MIB + 100))
    assert await ledger.grant(replace(ASK, have=MIB, want=40)) == Grant(MIB + 40)
    assert await counter(ledger) == (MIB + 100, 0)


async def test_grants_under_other_settings_are_stale_and_change_nothing(world: World) -> None:
    ledger = await claimed(world)
    assert await world.registry().replace(0, EMPTY, Edit("cli:ana", "cap set"))
    assert await ledger.grant(ASK) == Grant(0, stale=True)
    assert await counters(ledger) == {}
    assert await ledger.grant(replace(ASK, book_version=1)) == Grant(MIB)


async def test_without_a_claim_nothing_is_granted(world: World) -> None:
    with pytest.raises(Fenced):
        await world.ledger().grant(ASK)


# -- periods -----------------------------------------------------------------------------------


async def test_a_later_start_turns_the_period(world: World) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, limits=limits(MIB))
    await ledger.grant(ask)
    await settled(ledger, replace(ROW, used=MIB, final=True))
    tomorrow = replace(ask, lease="gw:one:2", limits=limits(MIB, start=DAY + 86400))
    assert (await ledger.grant(tomorrow)).granted == MIB
    found = (await counters(ledger))[PHONE, Period.DAY]
    assert (found.start, found.used, found.reserved) == (DAY + 86400, 0, MIB)


@pytest.mark.parametrize(
    ("start", "trusted"), [(DAY + 86400, False), (DAY - 86400, True), (DAY, True)]
)
async def test_other_starts_do_not(world: World, start: int, trusted: bool) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=MIB, final=True))
    other = replace(ASK, lease="gw:one:2", limits=limits(start=start), trusted=trusted)
    await ledger.grant(other)
    found = (await counters(ledger))[PHONE, Period.DAY]
    assert (found.start, found.used, found.reserved) == (DAY, MIB, MIB)


@pytest.mark.parametrize("period", [Period.TRIP, Period.ONCE])
async def test_a_start_that_the_settings_name_turns_its_period_whatever_the_clock(
    world: World, period: Period
) -> None:
    ledger = await claimed(world)
    before = tuple(replace(limit, period=period) for limit in limits())
    after = tuple(replace(limit, start=DAY + 1) for limit in before)
    await ledger.grant(replace(ASK, limits=before))
    await settled(ledger, replace(ROW, used=MIB, final=True, limits=before))
    await ledger.grant(replace(ASK, lease="gw:one:2", limits=after, trusted=False))
    found = (await counters(ledger))[PHONE, period]
    assert (found.start, found.used, found.reserved) == (DAY + 1, 0, MIB)
    await settled(ledger, replace(ROW, lease="gw:one:2", used=KIB, limits=after, trusted=False))
    await ledger.grant(replace(ASK, lease="gw:one:3", limits=before))
    assert (await counters(ledger))[PHONE, period].start == DAY + 1


async def test_the_first_start_counts_even_if_the_clock_is_not_trusted(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, trusted=False))
    assert (await counters(ledger))[PHONE, Period.DAY].start == DAY


async def test_a_first_start_that_was_guessed_is_moved_back_and_the_count_stays(
    world: World,
) -> None:
    ledger = await claimed(world)
    ahead = limits(start=DAY + 10 * 365 * 86400)
    await ledger.grant(replace(ASK, limits=ahead, trusted=False))
    await settled(ledger, replace(ROW, used=KIB, limits=ahead, trusted=False))
    await ledger.grant(replace(ASK, lease="gw:one:2", limits=limits()))
    found = (await counters(ledger))[PHONE, Period.DAY]
    assert (found.start, found.used, found.reserved) == (DAY, KIB, 2 * MIB - KIB)
    await settled(ledger, replace(ROW, used=3 * KIB, final=True, limits=ahead))
    assert await counter(ledger) == (3 * KIB, MIB)


async def test_a_lease_of_a_guessed_start_holds_its_rest_when_that_period_comes(
    world: World,
) -> None:
    ledger = await claimed(world)
    tomorrow = limits(start=DAY + 86400)
    await ledger.grant(replace(ASK, limits=tomorrow, trusted=False))
    await ledger.grant(replace(ASK, lease="gw:one:2"))
    await ledger.grant(replace(ASK, lease="gw:one:3", limits=tomorrow))
    assert await counter(ledger) == (0, 2 * MIB)


async def test_a_start_that_a_trusted_clock_confirmed_is_not_moved_back(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, trusted=False))
    await ledger.grant(replace(ASK, lease="gw:one:2"))
    await ledger.grant(replace(ASK, lease="gw:one:3", limits=limits(start=DAY - 86400)))
    assert (await counters(ledger))[PHONE, Period.DAY].start == DAY


async def test_a_lease_that_lives_through_a_turn_holds_its_rest_in_the_new_period(
    world: World,
) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    await settled(ledger, replace(ROW, used=KIB))
    await ledger.grant(replace(ASK, have=MIB, limits=limits(start=DAY + 86400)))
    assert await counter(ledger) == (0, 2 * MIB - KIB)
    await settled(ledger, replace(ROW, granted=2 * MIB, used=3 * KIB, final=True))
    assert await counter(ledger) == (2 * KIB, 0)


async def test_a_lease_stands_in_the_counters_of_its_last_grant_only(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, limits=limits() + limits(target=ANA)))
    await ledger.grant(replace(ASK, have=MIB, limits=limits() + limits(target=PLAN)))
    found = await counters(ledger)
    reserved = {target: found[target, Period.DAY].reserved for target in (PHONE, ANA, PLAN)}
    assert reserved == {PHONE: 2 * MIB, ANA: 0, PLAN: 2 * MIB}


async def test_volumes_near_2_to_the_53_stay_exact(world: World) -> None:
    ledger = await claimed(world)
    huge = 2**53 - 1
    assert (await ledger.grant(replace(ASK, want=huge))).granted == huge
    await settled(ledger, replace(ROW, used=huge - 2))
    assert await counter(ledger) == (huge - 2, 2)


@pytest.mark.parametrize("volume", [-1, 2**53])
async def test_volumes_that_could_not_be_exact_are_refused(world: World, volume: int) -> None:
    ledger = await claimed(world)
    with pytest.raises(ValueError, match="2\\^53"):
        await ledger.grant(replace(ASK, want=volume))
    assert await counters(ledger) == {}


# -- soft limits: throttle and essentials -------------------------------------------------------


def soft(limit: int) -> tuple[Limit, ...]:
    return tuple(replace(one, soft=True) for one in limits(limit))


async def test_a_soft_limit_offers_what_is_left_and_makes_no_unit_final(world: World) -> None:
    ledger = await claimed(world)
    grant = await ledger.grant(replace(ASK, limits=soft(MIB // 2)))
    assert grant == Grant(MIB // 2)


async def test_past_a_soft_limit_grants_go_on_and_name_it(world: World) -> None:
    ledger = await claimed(world)
    ask = replace(ASK, limits=soft(MIB // 2))
    await ledger.grant(ask)
    grant = await ledger.grant(replace(ask, have=MIB // 2))
    assert grant == Grant(MIB // 2 + MIB, reached=ask.limits)


async def test_a_hard_limit_beside_a_reached_soft_one_still_refuses(world: World) -> None:
    ledger = await claimed(world)
    hard = limits(MIB, target=PLAN)
    ask = replace(ASK, limits=(*soft(KIB), *hard))
    first = await ledger.grant(ask)
    second = await ledger.grant(replace(ask, have=first.granted))
    third = await ledger.grant(replace(ask, have=second.granted))
    assert (first.granted, second.granted) == (KIB, MIB)
    assert (third.granted, third.binding, third.reached) == (MIB, hard[0], soft(KIB))


async def test_two_limits_on_one_counter_reserve_there_once(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(replace(ASK, limits=(*limits(10 * MIB), *soft(5 * MIB))))
    assert await counter(ledger) == (0, MIB)
