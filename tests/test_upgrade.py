"""State of schema 1 becomes this schema's, after a backup, and never in part."""

import asyncio
import stat
from pathlib import Path

import pytest
import redis

from tests.servers import valkey_server, valkey_url
from tripgate.cli.backup.work import check
from tripgate.core.usagefields import renamed
from tripgate.ledger import keys
from tripgate.ledger.connection import Connection
from tripgate.ledger.protocol import LedgerDown
from tripgate.upgrade import backup_path, upgrade

__all__ = ["valkey_server", "valkey_url"]

NOW = 1_800_000_000
LIFE, MINUTE, HOSTS = (f"use:dev-aaaa:{level}" for level in ("life", "minute:1200", "hosts:0"))
OLD = {
    LIFE: {"youtube|video|d": 5, "vyoutube|d": 2, "unknown|unknown|u": 3, "overhead": 1},
    MINUTE: {"video|7|d": 5, "unknown|7|u": 3},
    HOSTS: {"a.example|u": 3},
}
NEW = {
    LIFE: {"vyoutube|d": 7, "-|u": 3, "overhead": 1},
    MINUTE: {"v7d": 5, "-7u": 3},
    HOSTS: {"a.example|u": 3},
}


@pytest.mark.parametrize(
    ("bucket", "old", "new"),
    [
        (LIFE, "icloud|cloud-sync|u", "cicloud|u"),
        (LIFE, "unknown|unknown|d", "-|d"),
        (LIFE, "tape|tape-swaps|d", "-tape|d"),
        (LIFE, "cicloud|u", "cicloud|u"),
        (LIFE, "other|d", "other|d"),
        (LIFE, "overhead", "overhead"),
        (LIFE, "a|b|c", "a|b|c"),
        (MINUTE, "video|0|u", "v0u"),
        (MINUTE, "v0u", "v0u"),
        (HOSTS, "a.example|d", "a.example|d"),
    ],
)
def test_a_field_of_the_first_gateways_gets_todays_name(bucket: str, old: str, new: str) -> None:
    assert renamed(bucket, old) == new


@pytest.fixture
def old_state(valkey_url: str) -> "redis.Redis":
    client = redis.Redis.from_url(valkey_url, decode_responses=True)
    client.set(keys.SCHEMA_KEY, "1")
    for name, fields in OLD.items():
        client.hset(keys.PREFIX + name, mapping=fields)  # type: ignore[arg-type]
    client.expire(keys.PREFIX + MINUTE, 1000)
    return client


def held(client: "redis.Redis") -> dict[str, dict[str, int]]:
    return {
        name: {field: int(value) for field, value in client.hgetall(keys.PREFIX + name).items()}  # type: ignore[union-attr]
        for name in NEW
    }


def run(url: str, folder: Path) -> None:
    asyncio.run(upgrade(url, folder, "gw", NOW))


def test_buckets_get_todays_fields_and_the_backup_holds_the_old_ones(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    for _ in range(2):
        run(valkey_url, tmp_path)
        assert held(old_state) == NEW
        content = check(backup_path(tmp_path))
        assert (content.header.schema, content.keys) == (1, 4)
    assert stat.S_IMODE(backup_path(tmp_path).stat().st_mode) == 0o600
    assert 0 < int(old_state.ttl(keys.PREFIX + MINUTE)) <= 1000  # type: ignore[arg-type]


def test_without_a_backup_nothing_is_changed(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    with pytest.raises(LedgerDown, match="no upgrade without a backup"):
        run(valkey_url, tmp_path / "gone")
    assert held(old_state) == OLD


def test_while_another_gateway_is_heard_of_nothing_is_changed(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    old_state.hset(keys.PREFIX + "gateway:other", mapping={"instance": "x", "heard": str(NOW - 3)})
    with pytest.raises(LedgerDown, match="stop it"):
        run(valkey_url, tmp_path)
    assert held(old_state) == OLD
    assert not backup_path(tmp_path).exists()


def test_the_gateways_own_run_of_before_is_no_other(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    old_state.hset(keys.PREFIX + "gateway:gw", mapping={"instance": "x", "heard": str(NOW - 3)})
    run(valkey_url, tmp_path)
    assert held(old_state) == NEW


@pytest.mark.parametrize("schema", [None, keys.SCHEMA, keys.SCHEMA + 1])
def test_new_state_is_left_alone(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path, schema: int | None
) -> None:
    old_state.delete(keys.SCHEMA_KEY)
    if schema is not None:
        old_state.set(keys.SCHEMA_KEY, str(schema))
    run(valkey_url, tmp_path)
    assert held(old_state) == OLD
    assert not backup_path(tmp_path).exists()


def test_a_backup_of_an_upgrade_that_was_cut_short_stays(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    backup_path(tmp_path).write_text("the first one")
    run(valkey_url, tmp_path)
    assert backup_path(tmp_path).read_text() == "the first one"
    assert held(old_state) == NEW


def test_two_at_once_double_no_byte(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    async def both() -> None:
        folders = [tmp_path / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        await asyncio.gather(*(upgrade(valkey_url, one, "gw", NOW) for one in folders))

    asyncio.run(both())
    assert held(old_state) == NEW


def test_a_script_that_is_run_again_finds_nothing(
    old_state: "redis.Redis", valkey_url: str
) -> None:
    async def again() -> list[int]:
        connection = Connection(valkey_url)
        names = ("youtube|video|d", "vyoutube|d")
        found = [await connection.run("refield", keys.PREFIX + LIFE, *names) for _ in range(2)]
        await connection.aclose()
        return [int(one) for (one,) in found]

    assert asyncio.run(again()) == [1, 0]
    assert held(old_state)[LIFE]["vyoutube|d"] == 7


def test_a_damaged_count_is_told_and_not_taken_for_one(
    old_state: "redis.Redis", valkey_url: str, tmp_path: Path
) -> None:
    old_state.hset(keys.PREFIX + MINUTE, "video|7|d", "many")
    with pytest.raises(LedgerDown, match="did not write"):
        run(valkey_url, tmp_path)
