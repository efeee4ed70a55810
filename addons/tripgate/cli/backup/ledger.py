"""The keys of the ledger, read for a backup and written by a restore.

Rules
1. Settings, counters and leases are read in one transaction; usage buckets follow, in portions.
2. A restore removes all keys but the gateways' claims, the settings first, and writes the settings
   last, as an audited edit with a version that no gateway has seen.
3. A lease that was open is closed with all that it was granted, where its gateway is not this
   folder's: nobody else will ever settle it.
4. What a counter has reserved is what its open leases hold: it is summed up anew, so that a file
   that disagrees with itself gives no byte away.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from redis.asyncio.client import Pipeline

from tripgate.cli.backup.file import Item, kind_of
from tripgate.core.book import Book
from tripgate.core.classify import UNKNOWN
from tripgate.core.model import Period
from tripgate.core.period import starts
from tripgate.core.usage import increments
from tripgate.ledger import keys, trouble
from tripgate.ledger.connection import Connection
from tripgate.ledger.protocol import Settlement
from tripgate.ledger.redis import RedisLedger

TIMEOUT_S = 30.0
AT_ONCE = 500
HEARD_S = 10
CLAIMS = "gateway:"
SETTINGS = ("book", "version", "edit")


async def names(connection: Connection) -> list[str]:
    """All keys of the ledger, without their prefix."""
    with trouble.told(connection.address):
        found = {
            str(key).removeprefix(keys.PREFIX)
            async for key in connection.redis.scan_iter(match=keys.PREFIX + "*", count=1000)
        }
    return sorted(found)


async def items(connection: Connection) -> AsyncIterator[Item]:
    """What a backup holds (rule 1)."""
    kept = [name for name in await names(connection) if kind_of(name)]
    core = [name for name in kept if not name.startswith("use:")]
    for item in await _read(connection, core, atomic=True):
        yield item
    for part in _parts([name for name in kept if name.startswith("use:")]):
        for item in await _read(connection, part, atomic=False):
            yield item


async def _read(connection: Connection, part: Sequence[str], *, atomic: bool) -> list[Item]:
    async with _pipeline(connection, atomic=atomic) as pipeline:
        for name in part:
            _ask(pipeline, name)
            pipeline.expiretime(keys.PREFIX + name)
        answers: list[Any] = await pipeline.execute()
    return [
        Item(name, _value(name, value), expires if expires >= 0 else None)
        for name, value, expires in zip(part, answers[::2], answers[1::2], strict=True)
        if value
    ]


@asynccontextmanager
async def _pipeline(connection: Connection, *, atomic: bool) -> AsyncIterator[Pipeline]:
    """Many commands in one exchange; ``atomic``: at one instant."""
    with trouble.told(connection.address):
        async with connection.redis.pipeline(transaction=atomic) as pipeline:
            yield pipeline


def _ask(pipeline: Pipeline, name: str) -> None:
    key = keys.PREFIX + name
    match kind_of(name):
        case "string":
            pipeline.get(key)
        case "set":
            pipeline.smembers(key)
        case "zset":
            pipeline.zrange(key, 0, -1, withscores=True)
        case "stream":
            pipeline.xrange(key)
        case _:
            pipeline.hgetall(key)


def _value(name: str, raw: Any) -> Any:
    """As :class:`Item` has it."""
    match kind_of(name):
        case "set":
            return sorted(raw)
        case "zset":
            return dict(raw)
        case "stream":
            return [[at, fields] for at, fields in raw]
    return raw


async def clear(connection: Connection) -> None:
    """Remove everything but the claims; the settings go first (rule 2)."""
    old = [name for name in await names(connection) if not name.startswith(CLAIMS)]
    old.sort(key=lambda name: name not in SETTINGS)
    for part in _parts(old):
        async with _pipeline(connection, atomic=True) as pipeline:
            pipeline.delete(*(keys.PREFIX + name for name in part))
            await pipeline.execute()


async def put(connection: Connection, content: Iterable[Item]) -> None:
    """Write all items but the settings."""
    for part in _parts(item for item in content if item.key not in SETTINGS):
        async with _pipeline(connection, atomic=False) as pipeline:
            for item in part:
                _write(pipeline, item)
            await pipeline.execute()


def _write(pipeline: Pipeline, item: Item) -> None:
    key, value = keys.PREFIX + item.key, item.value
    match kind_of(item.key):
        case "string":
            pipeline.set(key, value)
        case "set":
            pipeline.sadd(key, *value)
        case "zset":
            pipeline.zadd(key, value)
        case "stream":
            for at, fields in value:
                pipeline.xadd(key, fields, id=at)
        case _:
            pipeline.hset(key, mapping=value)
    if item.expires_at is not None:
        pipeline.expireat(key, item.expires_at)


async def alive(connection: Connection, now: int, but: str = "") -> bool:
    """Was a gateway (other than ``but``) heard of on this ledger within ``HEARD_S``?"""
    claims = [name for name in await names(connection) if name.startswith(CLAIMS)]
    claims = [name for name in claims if name != CLAIMS + but]
    async with _pipeline(connection, atomic=False) as pipeline:
        for name in claims:
            pipeline.hget(keys.PREFIX + name, "heard")
        heard: list[str | None] = await pipeline.execute()
    return any(at is not None and abs(now - int(at)) < HEARD_S for at in heard)


async def version(connection: Connection) -> int:
    """The version of the present settings; 0 where there are none."""
    with trouble.told(connection.address):
        return int(await connection.redis.get(keys.VERSION) or 0)


async def schema(connection: Connection) -> int:
    """Of the state as it is; this program's where there is none."""
    with trouble.told(connection.address):
        found = str(await connection.redis.get(keys.SCHEMA_KEY) or "")
    return int(found) if found.isdecimal() else keys.SCHEMA


async def set_version(connection: Connection, version: int) -> None:
    with trouble.told(connection.address):
        await connection.redis.set(keys.VERSION, str(version))


def with_reserves(content: Iterable[Item], leases: Iterable[Item]) -> Iterator[Item]:
    """``content`` with every counter's reserve by rule 4."""
    held: dict[tuple[str, str], int] = defaultdict(int)
    for lease in leases:
        if lease.value["state"] == "open":
            volume = max(0, int(lease.value["granted"]) - int(lease.value["settled"]))
            for field, start in lease.value.items():
                held[field, start] += volume
    for item in content:
        yield _with_reserve(item, held) if item.key.startswith("scope:") else item


def _with_reserve(item: Item, held: Mapping[tuple[str, str], int]) -> Item:
    value, target = dict(item.value), item.key.removeprefix("scope:")
    for period in Period:
        if f"{period}.start" in value:
            begun = {value[f"{period}.start"], value.get(f"{period}.guess")}
            at = [(f"at:{target} {period}", start) for start in begun if start is not None]
            value[f"{period}.reserved"] = str(sum(held.get(place, 0) for place in at))
    return replace(item, value=value)


def orphans(leases: Iterable[Item], gateway: str, book: Book, now: int) -> list[Settlement]:
    """Final settlements, at the full grant, of open leases of other gateways (rule 3)."""
    began = starts(book.plan, now)
    return [
        _in_full(item.key.removeprefix("lease:"), item.value, began, now)
        for item in leases
        if item.value.get("state") == "open" and not item.key.startswith(f"lease:{gateway}:")
    ]


def _in_full(
    lease: str, fields: Mapping[str, str], began: Mapping[Period, int], now: int
) -> Settlement:
    granted, device = int(fields.get("granted", "0")), fields.get("device", "")
    return Settlement(
        lease=lease,
        device=device,
        granted=granted,
        used=granted,
        final=True,
        limits=(),
        trusted=False,
        rest=increments(device, UNKNOWN, None, 0, 1, now, began),
    )


async def charge(ledger: RedisLedger, rows: Sequence[Settlement], now: int) -> None:
    """Record the settlements of :func:`orphans`."""
    for part in _parts(rows):
        await ledger.settle(part, {}, now)


def _parts(content: Iterable[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for one in content:
        part.append(one)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part
