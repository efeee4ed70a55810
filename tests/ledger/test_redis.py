"""What is particular to the ledger in Redis: how values are stored, and how long."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis

from tests.ledger.worlds import ASK, NOW, ROW, RedisWorld, claimed, settled
from tripgate.core.usage import Increment
from tripgate.ledger import scripts

HUGE = 2**53 - 1


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[RedisWorld]:
    made = RedisWorld(redis_url)
    yield made
    await made.aclose()


async def test_every_key_is_in_the_slot_of_the_plan(world: RedisWorld) -> None:
    ledger = await claimed(world)
    await ledger.grant(ASK)
    bucket = (Increment("use:dev-aaaa:life", "web|u", 1),)
    row = replace(ROW, used=1, parts=1, increments=bucket, final=True)
    await ledger.settle([row], {"dev-aaaa": NOW}, NOW)
    with redis.Redis.from_url(world.url, decode_responses=True) as client:
        found = list(client.scan_iter())
    assert found
    assert all(key.startswith("{plan}:") for key in found)


async def test_numbers_are_stored_as_plain_digits(world: RedisWorld) -> None:
    ledger = await claimed(world)
    bucket = (Increment("use:dev-aaaa:life", "web|u", HUGE),)
    row = replace(ROW, granted=HUGE, used=HUGE, parts=HUGE, increments=bucket)
    await ledger.settle([row], {"dev-aaaa": NOW}, NOW)
    with redis.Redis.from_url(world.url, decode_responses=True) as client:
        keys = ("scope:device:dev-aaaa", "use:dev-aaaa:life", "seen", "contact")
        hashes = [client.hgetall("{plan}:" + key) for key in keys]
        lease = client.hgetall("{plan}:lease:gw:one:1")
    values = [*itertools.chain.from_iterable(found.values() for found in hashes)]
    values += [lease["granted"], lease["settled"], lease["at:device:dev-aaaa day"]]
    assert str(HUGE) in values
    assert all(value.isdigit() for value in values)


async def test_a_bucket_expires_from_when_it_was_new(world: RedisWorld) -> None:
    ledger = await claimed(world)
    brief = (Increment("use:d:hour:0", "web|u", 1, ttl=100), Increment("use:d:life", "web|u", 1))
    await settled(ledger, replace(ROW, used=1, parts=1, increments=brief))
    with redis.Redis.from_url(world.url) as client:
        assert client.ttl("{plan}:use:d:life") == -1
        assert 95 <= client.ttl("{plan}:use:d:hour:0") <= 100
        client.expire("{plan}:use:d:hour:0", 50)
        await settled(ledger, replace(ROW, used=2, parts=1, increments=brief))
        assert 45 <= client.ttl("{plan}:use:d:hour:0") <= 50


async def test_scripts_are_sent_again_to_a_server_that_forgot_them(world: RedisWorld) -> None:
    ledger = await claimed(world)
    with redis.Redis.from_url(world.url) as client:
        client.script_flush()
    assert (await ledger.grant(ASK)).granted == ASK.want


async def test_an_edit_whose_answer_was_lost_finds_that_it_was_done(world: RedisWorld) -> None:
    arguments = ("0", "{}", "this-edit", "cli:ana", "cap set", "", str(NOW), "1")
    with redis.Redis.from_url(world.url, decode_responses=True) as client:
        replace_ = client.register_script(scripts.source("replace"))
        assert replace_(args=arguments) == ["ok"]
        assert replace_(args=arguments) == ["ok"]
        assert replace_(args=("0", "{}", "another", *arguments[3:])) == ["lost"]
        assert client.get("{plan}:version") == "1"
        assert client.xlen("{plan}:audit") == 1


async def test_the_audit_is_bounded(world: RedisWorld) -> None:
    with redis.Redis.from_url(world.url, decode_responses=True) as client:
        replace_ = client.register_script(scripts.source("replace"))
        with client.pipeline(transaction=False) as pipeline:
            client.script_load(replace_.script)
            for version in range(10_300):
                pipeline.evalsha(
                    *(replace_.sha, 0, version, "{}", version, "cli:ana", "cap set", "", NOW, 1)
                )
            pipeline.execute()
        assert 10_000 <= client.xlen("{plan}:audit") < 10_200


async def test_many_fields_and_rows_at_once_are_no_trouble(world: RedisWorld) -> None:
    ledger = await claimed(world)
    many = tuple(Increment("use:d:life", f"s{n}|u", 1) for n in range(5000))
    rows = [
        replace(ROW, lease=f"gw:one:{n}", used=5000, parts=5000, increments=many) for n in (1, 2)
    ]
    rows += [replace(ROW, lease=f"gw:one:{n}", used=1, final=True) for n in range(3, 1500)]
    assert len(await settled(ledger, *rows)) == len(rows)
    (life,) = await ledger.buckets(["use:d:life"])
    assert (len(life), sum(life.values())) == (5000, 10_000)
