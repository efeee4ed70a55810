"""Our own count of the plan, at some instant since its start."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping

from tripgate.cli.documents import Snapshot
from tripgate.cli.failure import Refused
from tripgate.cli.store import WIRE, Store
from tripgate.core.model import FORGOTTEN, NOBODYS, PLAN, Period
from tripgate.core.usage import BLOCK_S, HOUR_S, KEEP_HOURS_S, KEEP_MINUTES_S, OVERHEAD

_MINUTE = re.compile(r".(\d)[ud]")
LAG_S = HOUR_S
"""A device whose bytes are that much older than it was last seen has none later."""


def owners(read: Snapshot, since: int) -> list[str]:
    """Ids of whose bytes may have been counted after ``since``."""
    seen = read.tallies.seen
    lately = [one for one in read.book.devices if seen.get(one, 0) >= since - LAG_S]
    return [*lately, FORGOTTEN, *NOBODYS]


async def counted(store: Store, read: Snapshot, at: int) -> tuple[int, int]:
    """Bytes of the plan until ``at``, and to how many they are sure. Raises :class:`Refused`."""
    used = read.used(PLAN, Period.TRIP)
    if at >= read.now:
        return used, 0
    if at < read.now - KEEP_HOURS_S + HOUR_S:
        raise Refused("hours are kept for 60 days: note a reading of that time")
    fine = at >= read.now - KEEP_MINUTES_S + BLOCK_S
    after, partly = await (_minutes if fine else _hours)(store, read, at)
    sure = min(used, after + partly)
    unsure = min(partly, max(0, used - after))
    return used - sure + unsure // 2, -(-unsure // 2)


async def headers(store: Store, read: Snapshot) -> int:
    """Header bytes of the whole trip that were estimated and not charged."""
    if store.counted == WIRE:
        return 0
    trip = read.starts[Period.TRIP]
    names = [f"use:{one}:trip:{trip}" for one in (*read.book.devices, FORGOTTEN, *NOBODYS)]
    return sum(bucket.get(OVERHEAD, 0) for bucket in await store.ledger.buckets(names))


async def _minutes(store: Store, read: Snapshot, at: int) -> tuple[int, int]:
    """Bytes after the minute of ``at``, and in it."""
    blocks = range(at // BLOCK_S * BLOCK_S, read.now + 1, BLOCK_S)
    after = partly = 0
    async for block, bucket in _buckets(store, read, at, "minute", blocks):
        for minute, volume in _by_minute(bucket):
            begun = block + minute * 60
            after += volume if begun > at else 0
            partly += volume if begun <= at < begun + 60 else 0
    return after, partly


def _by_minute(bucket: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for name, volume in bucket.items():
        if match := _MINUTE.fullmatch(name):
            yield int(match[1]), volume


async def _hours(store: Store, read: Snapshot, at: int) -> tuple[int, int]:
    """Bytes after the hour of ``at``, and in it."""
    begun = range(at // HOUR_S * HOUR_S, read.now + 1, HOUR_S)
    after = partly = 0
    async for hour, bucket in _buckets(store, read, at, "hour", begun):
        volume = sum(size for name, size in bucket.items() if name != OVERHEAD)
        after += volume if hour > at else 0
        partly += volume if hour <= at else 0
    return after, partly


async def _buckets(
    store: Store, read: Snapshot, at: int, level: str, begun: range
) -> AsyncIterator[tuple[int, Mapping[str, int]]]:
    for owner in owners(read, at):
        names = [f"use:{owner}:{level}:{start}" for start in begun]
        for start, bucket in zip(begun, await store.ledger.buckets(names), strict=True):
            yield start, bucket
