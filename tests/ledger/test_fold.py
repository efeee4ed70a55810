"""What a device used that is gone is its heir's: nothing that was counted vanishes."""

from dataclasses import replace

import pytest

from tests.ledger.worlds import (
    ASK,
    DAY,
    DEVICE,
    GATEWAY,
    INSTANCE,
    NOW,
    ROW,
    World,
    claimed,
    counter,
    counters,
    limits,
    settled,
)  # fmt: skip
from tripgate.core import book as books
from tripgate.core.book import EMPTY
from tripgate.core.model import Period, device_target
from tripgate.core.usage import Increment
from tripgate.ledger.protocol import Edit, Ledger

KEPT = "dev-kept"
HEIR = device_target(KEPT)
FOLD = Edit("cli:ana", "device merge", "new into old", NOW, ((DEVICE, KEPT),))
ANA = books.add_person(EMPTY, "ana", NOW)
LATER = DAY + 86_400


def row(device: str, number: int, used: int, start: int = DAY, field: str = "v|d"):  # type: ignore[no-untyped-def]
    """A settlement that closes a lease of ``used`` bytes."""
    bucket = f"use:{device}:day:0"
    return replace(
        ROW,
        lease=f"{GATEWAY}:{INSTANCE}:{number}", device=device, used=used, final=True,
        limits=limits(target=device_target(device), start=start), parts=used,
        increments=(Increment(bucket, field, used, 1000, 512),),
        rest=(Increment(bucket, "-|d", used),),
    )  # fmt: skip


async def folded(world: World, *rows: object) -> Ledger:
    """A ledger with these rows, in which then ``DEVICE`` was merged into ``KEPT``."""
    ledger = await claimed(world)
    await settled(ledger, *rows)  # type: ignore[arg-type]
    assert await world.registry().replace(0, ANA, FOLD)
    return ledger


async def test_counters_of_the_same_period_add_up(world: World) -> None:
    ledger = await folded(world, row(DEVICE, 1, 100), row(KEPT, 2, 10))
    assert await counter(ledger, HEIR) == (110, 0)


async def test_a_counter_that_the_heir_lacks_becomes_its_own(world: World) -> None:
    ledger = await folded(world, row(DEVICE, 1, 100))
    assert await counter(ledger, HEIR) == (100, 0)


@pytest.mark.parametrize(
    ("gone", "kept", "used"),
    [(DAY, LATER, 10), (LATER, DAY, 100)],
    ids=["the heir is ahead", "the heir is behind"],
)
async def test_of_different_periods_the_later_one_counts(
    world: World, gone: int, kept: int, used: int
) -> None:
    ledger = await folded(world, row(DEVICE, 1, 100, gone), row(KEPT, 2, 10, kept))
    assert await counter(ledger, HEIR) == (used, 0)


async def test_the_one_that_is_gone_has_no_counter(world: World) -> None:
    ledger = await folded(world, row(DEVICE, 1, 100))
    assert not await counters(ledger, [device_target(DEVICE)])


async def test_buckets_add_up_field_by_field(world: World) -> None:
    rows = row(DEVICE, 1, 100), row(DEVICE, 2, 1, field="g|d"), row(KEPT, 3, 10)
    ledger = await folded(world, *rows)
    gone, kept = await ledger.buckets([f"use:{DEVICE}:day:0", f"use:{KEPT}:day:0"])
    assert (gone, kept) == ({}, {"v|d": 110, "g|d": 1})


async def test_a_bucket_that_the_heir_lacks_becomes_its_own(world: World) -> None:
    ledger = await folded(world, row(DEVICE, 1, 100))
    assert await ledger.buckets([f"use:{KEPT}:day:0"]) == ({"v|d": 100},)


async def test_a_folded_bucket_keeps_its_bound(world: World) -> None:
    full = [row(KEPT, n, 1, field=f"v{n}|d") for n in range(1, 513)]
    ledger = await folded(world, *full, row(DEVICE, 600, 7, field="new|d"))
    (bucket,) = await ledger.buckets([f"use:{KEPT}:day:0"])
    assert (len(bucket), bucket["other|d"]) == (513, 7)


async def test_what_an_open_lease_still_brings_is_the_heir_s(world: World) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    assert await world.registry().replace(0, ANA, FOLD)
    late = replace(row(DEVICE, 1, 100), lease=ASK.lease, limits=ASK.limits)
    await settled(ledger, late)
    assert await counter(ledger, HEIR) == (100, 0)
    assert await ledger.buckets([f"use:{KEPT}:day:0"]) == ({"v|d": 100},)


async def test_what_a_new_lease_brings_late_is_the_heir_s(world: World) -> None:
    ledger = await folded(world)
    await settled(ledger, row(DEVICE, 9, 100))
    assert await counter(ledger, HEIR) == (100, 0)
    assert await ledger.buckets([f"use:{KEPT}:day:0"]) == ({"v|d": 100},)


async def test_an_heir_that_is_folded_passes_everything_on(world: World) -> None:
    ledger = await folded(world)
    last = replace(FOLD, folds=((KEPT, "dev-last"),))
    assert await world.registry().replace(1, EMPTY, last)
    await settled(ledger, row(DEVICE, 9, 100))
    assert await counter(ledger, device_target("dev-last"), Period.DAY) == (100, 0)


async def test_an_edit_that_loses_the_race_folds_nothing(world: World) -> None:
    ledger = await claimed(world)
    await settled(ledger, row(DEVICE, 1, 100))
    assert not await world.registry().replace(7, ANA, FOLD)
    assert await counter(ledger, device_target(DEVICE)) == (100, 0)


async def test_a_device_that_is_entered_again_counts_for_itself(world: World) -> None:
    ledger = await folded(world)
    book, device = books.add_device(EMPTY, "ip:10.0.0.2", NOW, entropy="00000001")
    fold = replace(FOLD, folds=((device.id, KEPT),))
    assert await world.registry().replace(1, EMPTY, fold)
    assert await world.registry().replace(2, book, replace(FOLD, folds=()))
    await settled(ledger, row(device.id, 1, 100))
    assert await counter(ledger, device_target(device.id)) == (100, 0)
