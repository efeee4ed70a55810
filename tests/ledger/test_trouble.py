"""A Redis that is full, read-only, wrong, damaged or gone: ``LedgerDown``, never a secret."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis
import redis.exceptions as errors

from tests.ledger.worlds import ASK, KIB, MIB, NOW, ROW, RedisWorld, claimed, counter, settled
from tests.servers import Server, debian_program, running, valkey_program
from tripgate.core.book import EMPTY
from tripgate.core.usage import Increment
from tripgate.ledger import keys, trouble
from tripgate.ledger.protocol import Edit, LedgerDown, NewerState
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry

EDIT = Edit("cli:ana", "cap set", "", NOW)


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[RedisWorld]:
    made = RedisWorld(redis_url)
    yield made
    await made.aclose()


@pytest.fixture(params=[valkey_program, debian_program])
def server(request: pytest.FixtureRequest) -> "AsyncIterator[Server]":
    """A server of the test's own, to be spoiled."""
    with running(request.param()) as made:
        yield made


# -- full, read-only, unfit --------------------------------------------------------------------


async def test_out_of_memory_nothing_is_granted_and_everything_settled(server: Server) -> None:
    world = RedisWorld(server.url)
    ledger = await claimed(world)
    await ledger.grant(ASK)
    with server.client() as client:
        client.config_set("maxmemory", "1mb")
        client.config_set("maxmemory-policy", "noeviction")
        client.script_flush()
    bucket = tuple(Increment("use:dev-aaaa:life", f"s{n}|u", KIB) for n in range(300))
    with pytest.raises(LedgerDown, match="out of memory: raise its maxmemory"):
        await ledger.grant(replace(ASK, have=MIB))
    row = replace(ROW, used=300 * KIB, parts=300 * KIB, increments=bucket, final=True)
    assert await settled(ledger, row) == (300 * KIB,)
    assert await counter(ledger) == (300 * KIB, 0)
    with pytest.raises(LedgerDown, match="out of memory"):
        await world.registry().replace(0, EMPTY, EDIT)
    await world.aclose()


async def test_a_replica_is_refused_and_told(server: Server) -> None:
    world = RedisWorld(server.url)
    ledger = await claimed(world)
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
    for call in (
        ledger.grant(ASK),
        settled(ledger, ROW),
        ledger.claim("gw", "two", None, NOW + 60),
        world.registry().replace(0, EMPTY, EDIT),
    ):
        with pytest.raises(LedgerDown, match="read-only replica: name its primary"):
            await call
    await world.aclose()


async def test_a_server_that_would_evict_counters_is_refused(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    ledger = RedisLedger(server.url)
    with pytest.raises(LedgerDown, match="would evict counters: set its maxmemory-policy"):
        await ledger.claim("gw", "one", None, NOW)
    with pytest.raises(LedgerDown, match="would evict counters"):
        await ledger.ping()
    await ledger.aclose()


# -- damaged and newer state -------------------------------------------------------------------


@pytest.mark.parametrize("value", ["abc", "-1", "1e5", "", "9007199254740993", "\x00"])
async def test_a_damaged_counter_is_told_and_nothing_is_written(
    world: RedisWorld, value: str
) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    with redis.Redis.from_url(world.url, decode_responses=True) as client:
        client.hset("{plan}:use:dev-aaaa:life", "web|u", value)
        before = {key: client.hgetall(key) for key in _hashes(client)}
        row = replace(ROW, used=300, parts=300, increments=(_web("life"), _web("day:0")))
        with pytest.raises(LedgerDown, match=r"did not write .*use:dev-aaaa:life.* restore"):
            await settled(ledger, row, now=NOW + 1)
        assert {key: client.hgetall(key) for key in _hashes(client)} == before


def _web(level: str) -> Increment:
    return Increment(f"use:dev-aaaa:{level}", "web|u", 300)


def _hashes(client: "redis.Redis") -> list[str]:
    return [key for key in client.scan_iter("*") if client.type(key) == "hash"]


@pytest.mark.parametrize("key", ["scope:device:dev-aaaa", "lease:gw:one:1", "use:dev-aaaa:life"])
async def test_a_key_of_another_type_is_told(world: RedisWorld, key: str) -> None:
    ledger = await claimed(world)
    with redis.Redis.from_url(world.url) as client:
        client.set("{plan}:" + key, "text")
    row = replace(ROW, used=300, parts=300, increments=(_web("life"),))
    with pytest.raises(LedgerDown, match="did not write: restore a backup"):
        await settled(ledger, row)
    assert await ledger.open_leases() == ()


async def test_damaged_readings_are_told(world: RedisWorld) -> None:
    ledger = await claimed(world)
    with redis.Redis.from_url(world.url) as client:
        client.hset("{plan}:scope:device:dev-aaaa", "day.start", "abc")
        client.hset("{plan}:use:dev-aaaa:life", "web|u", "abc")
        client.set("{plan}:version", "abc")
    for call in (
        counter(ledger),
        ledger.buckets(["use:dev-aaaa:life"]),
        world.registry().load(),
    ):
        with pytest.raises(LedgerDown, match="tripgate did not write"):
            await call


async def test_a_damaged_book_is_told(world: RedisWorld) -> None:
    with redis.Redis.from_url(world.url) as client:
        client.set("{plan}:book", b'{"schema": 1, "devices": \xff')
    with pytest.raises(LedgerDown):
        await world.registry().load()


async def test_newer_state_is_not_touched(world: RedisWorld) -> None:
    with redis.Redis.from_url(world.url, decode_responses=True) as client:
        client.set("{plan}:schema", str(keys.SCHEMA + 1))
        for call in (
            world.ledger().claim("gw", "one", None, NOW),
            world.registry().load(),
            world.registry().replace(0, EMPTY, EDIT),
        ):
            with pytest.raises(NewerState, match="newer tripgate"):
                await call
        assert client.keys() == ["{plan}:schema"]


# -- wrong or no server ------------------------------------------------------------------------


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await reader.read(100)
    writer.close()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (_greet, "something else answers at its address"),
        (_hang_up, "does not answer: start the gateway"),
        (_say_nothing, "does not answer in time"),
    ],
)
async def test_what_is_no_redis_is_told(behaviour: object, words: str) -> None:
    stranger = await asyncio.start_server(behaviour, "127.0.0.1", 0)  # type: ignore[arg-type]
    port = stranger.sockets[0].getsockname()[1]
    ledger = RedisLedger(f"redis://:hunter2@127.0.0.1:{port}/0", timeout_s=0.2)
    for call in (ledger.claim("gw", "one", None, NOW), settled(ledger), ledger.open_leases()):
        with pytest.raises(LedgerDown, match=words) as told:
            await call
        assert f"127.0.0.1:{port}" in str(told.value)
        assert "hunter2" not in str(told.value)
    await ledger.aclose()
    stranger.close()


async def test_an_absent_server_is_told() -> None:
    ledger, registry = RedisLedger("unix:///nowhere.sock"), RedisRegistry("unix:///nowhere.sock")
    for call in (ledger.ping(), ledger.buckets(["a"]), ledger.tallies([]), registry.audit()):
        with pytest.raises(LedgerDown, match=r"unix:///nowhere\.sock does not answer: start"):
            await call
    assert [change async for change in registry.changes()] == []


async def test_a_wrong_password_is_told_without_it(server: Server) -> None:
    with server.client() as client:
        client.config_set("requirepass", "hunter2")
    where = server.url.removeprefix("unix://")
    for url in (f"unix://:hunter3@{where}", server.url):
        ledger = RedisLedger(url)
        with pytest.raises(LedgerDown, match="refuses the password") as told:
            await ledger.ping()
        assert "hunter" not in str(told.value)
        await ledger.aclose()
    right = RedisLedger(f"unix://:hunter2@{where}")
    await right.ping()
    await right.aclose()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.ResponseError("MISCONF Errors writing the AOF: No space"), "free some space"),
        (errors.ResponseError("unknown command 'evalsha'"), "must be Redis 7.0 or Valkey"),
        (errors.ResponseError("WRONGPASS invalid username-password pair"), "correct it in the URL"),
        (errors.BusyLoadingError("Redis is loading the dataset"), "still loading"),
        (errors.NoPermissionError("this user has no permissions"), "give it more rights"),
        (errors.ResponseError("CLUSTERDOWN Hash slot not served"), "is a cluster that is down"),
        (errors.MovedError("6987 10.0.0.9:6379"), "one node of a cluster"),
        (OSError("anything"), "does not answer: start"),
        (errors.ResponseError("x" * 5000), "must be Redis 7.0"),
    ],
)  # fmt: skip
def test_errors_of_redis_say_what_to_do_in_one_short_line(error: Exception, words: str) -> None:
    told = trouble.explain(error)
    assert words in told
    assert len(told) < 300
    assert "\n" not in told


# -- listening ---------------------------------------------------------------------------------


async def test_listening_ends_when_the_server_does(server: Server) -> None:
    registry = RedisRegistry(server.url)
    changes = aiter(registry.changes())
    await anext(changes)
    server.kill()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(changes), 10)
    await registry.aclose()


async def test_listening_ends_when_the_server_hangs(server: Server) -> None:
    registry = RedisRegistry(server.url, ping_s=0.1)
    changes = aiter(registry.changes())
    await anext(changes)
    server.hang()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(changes), 10)
    await registry.aclose()


async def test_listening_goes_on_while_nothing_changes(server: Server) -> None:
    registry = RedisRegistry(server.url, ping_s=0.02)
    changes = aiter(registry.changes())
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    with server.client() as client:
        pings = 0
        while pings < 4:
            stats = client.info("commandstats")
            pings = stats.get("cmdstat_ping", {"calls": 0})["calls"]
            await asyncio.sleep(0)
    assert not waiting.done()
    assert await registry.replace(0, EMPTY, EDIT)
    await asyncio.wait_for(waiting, 5)
    await registry.aclose()
