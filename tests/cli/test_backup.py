"""Backup and restore: the whole ledger in one file, and back; anything odd is refused whole."""

import gzip
import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tripgate.cli.backup.file import LINE_MOST
from tripgate.core.limits import limits_for
from tripgate.core.period import starts
from tripgate.ledger import keys
from tripgate.ledger.protocol import GrantRequest
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry
from tripgate.statefolder import Identity, StateFolder

PASSING = ("pace", "per_day")  # goes with the time


@pytest.fixture
def filled(world: World) -> World:
    """Two devices with use, caps, a plan and an audit."""
    phone = world.device("phone", "ana")
    world.device("laptop")
    world.used(phone, 1000, 200_000)
    world.run("cap", "set", "phone", "500MB/day")
    world.run("plan", "set", "--volume", "10GB", "--valid", "30d", "--tz", "Europe/Berlin")
    return world


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.open(path)]


def write(path: Path, content: list[Any]) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in content)


def seen(world: World) -> dict[str, Any]:
    """Everything that a person would look at."""
    return {
        "devices": world.json("device", "list"),
        "caps": world.json("cap", "list"),
        "usage": world.json("usage", "--by", "device,service")["rows"],
        "plan": {k: v for k, v in world.json("plan", "show").items() if k not in PASSING},
    }


def test_what_was_backed_up_is_back_after_a_restore(filled: World, tmp_path: Path) -> None:
    before, book = seen(filled), filled.book
    filled.run("backup", str(tmp_path / "trip"))
    filled.used(book.devices[next(iter(book.devices))].id, 0, 10**6)
    filled.run("device", "forget", "laptop")
    filled.run("cap", "clear", "phone")
    filled.run("restore", str(tmp_path / "trip"))
    assert seen(filled) == before
    assert filled.book == book


def test_a_restore_is_in_the_audit(filled: World, tmp_path: Path) -> None:
    filled.run("backup", str(tmp_path / "trip"))
    filled.run("restore", str(tmp_path / "trip"))
    newest = filled.json("audit")[0]
    assert newest["action"] == "restore"
    assert newest["detail"].startswith("trip of ")


def test_a_backup_is_for_its_owner_only_and_leaves_no_other_file(
    filled: World, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    told = filled.json("backup", str(folder / "trip"))
    assert [one.name for one in folder.iterdir()] == ["trip"]
    found = (folder / "trip").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert told["bytes"] == found.st_size
    assert told["keys"] == lines(folder / "trip")[-1]["end"]


def test_a_backup_holds_no_claim_of_a_gateway(filled: World, tmp_path: Path) -> None:
    filled.run("backup", str(tmp_path / "trip"))
    assert not [line for line in lines(tmp_path / "trip")[1:-1] if line[0].startswith("gateway:")]


def test_a_restore_while_the_gateway_runs_is_refused(filled: World, tmp_path: Path) -> None:
    filled.run("backup", str(tmp_path / "trip"))
    before = filled.book
    with StateFolder(filled.state).locked(), gateway(filled.state):
        code, said = filled.refused("restore", str(tmp_path / "trip"))
    assert code == 1
    assert "a gateway is running" in said
    assert filled.book == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_file_that_cannot_be_used_is_one_line(
    filled: World, tmp_path: Path, command: str
) -> None:
    code, said = filled.refused(command, str(tmp_path / "no" / "such"))
    assert code == 1
    assert "No such file" in said


def end_missing(content: list[Any]) -> list[Any]:
    return content[:-1]


def key_missing(content: list[Any]) -> list[Any]:
    return [content[0], *content[2:]]


def more_after_the_end(content: list[Any]) -> list[Any]:
    return [*content, content[1]]


def foreign_key(content: list[Any]) -> list[Any]:
    return [content[0], ["gateway:x", None, {"a": "1"}], *content[1:-1], {"end": len(content) - 1}]


def header_twice(content: list[Any]) -> list[Any]:
    return [content[0], *content]


def no_header(content: list[Any]) -> list[Any]:
    return content[1:]


def changed(key: str, value: Any) -> Callable[[list[Any]], list[Any]]:
    """The value of one key replaced."""

    def change(content: list[Any]) -> list[Any]:
        others = [line for line in content[1:-1] if line[0] != key]
        return [content[0], *others, [key, None, value], {"end": len(others) + 1}]

    return change


SPOILED = [
    *(end_missing, key_missing, more_after_the_end, foreign_key, header_twice, no_header),
    *(changed("book", "{}"), changed("book", 5), changed("version", "x"), changed("schema", "-1")),
    *(changed("scope:plan", {"day.used": "-5"}), changed("scope:plan", {"day.used": 5})),
    *(changed("lease:gw:one:1", {"state": "open", "granted": "5", "settled": "-1"}),),
    *(changed("lease:gw:one:1", {"state": "ajar", "granted": "5", "settled": "1"}),),
    *(changed("scope:plan", {}), changed("audit", [["x", {}]]), changed("open", "a")),
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_backup_that_is_odd_is_refused_and_nothing_changes(
    filled: World, tmp_path: Path, spoil: Callable[[list[Any]], list[Any]]
) -> None:
    path = tmp_path / "trip"
    filled.run("backup", str(path))
    before = filled.book
    write(path, spoil(lines(path)))
    code, said = filled.refused("restore", str(path))
    assert (code, "take an earlier backup" in said) == (1, True)
    assert filled.book == before


@pytest.mark.parametrize("data", [b"", b"text", b"\x1f\x8b\x08\x00broken", b"\x1f\x8b"])
def test_what_is_no_backup_is_refused(filled: World, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    code, said = filled.refused("restore", str(tmp_path / "file"))
    assert code == 1
    assert "backup" in said


def test_a_backup_that_was_cut_short_is_refused(filled: World, tmp_path: Path) -> None:
    filled.run("backup", str(tmp_path / "trip"))
    data = (tmp_path / "trip").read_bytes()
    for end in range(20, len(data), len(data) // 8):
        (tmp_path / "trip").write_bytes(data[:end])
        assert filled.refused("restore", str(tmp_path / "trip"))[0] == 1


def test_a_small_file_does_not_unpack_without_end(filled: World, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb", "wb") as file:
        file.write(b"[" * (LINE_MOST + 2))
    code, said = filled.refused("restore", str(tmp_path / "bomb"))
    assert (code, "too large" in said) == (1, True)


@pytest.mark.parametrize(("field", "value"), [("schema", keys.SCHEMA + 1), ("tripgate-backup", 2)])
def test_a_backup_of_a_newer_version_is_refused(
    filled: World, tmp_path: Path, field: str, value: int
) -> None:
    filled.run("backup", str(tmp_path / "trip"))
    content = lines(tmp_path / "trip")
    content[0][field] = value
    write(tmp_path / "trip", content)
    assert "made by a newer tripgate" in filled.refused("restore", str(tmp_path / "trip"))[1]


def lease_of(world: World, name: str) -> int:
    """A lease of the gateway ``name`` on the phone; what it was granted."""
    (phone,) = (one for one in world.book.devices.values() if one.name == "phone")
    minute_ago = int(time.time()) - 60

    async def grant(ledger: RedisLedger, registry: RedisRegistry) -> int:
        version, book = await registry.load()
        await ledger.claim(name, "run", None, minute_ago)
        limits = limits_for(book, phone, starts(book.plan, minute_ago))
        granted = await ledger.grant(
            GrantRequest(
                lease=f"{name}:run:1",
                device=phone.id,
                have=0,
                want=1_000_000,
                limits=limits,
                share={one.target: 1 for one in limits},
                book_version=version,
                trusted=True,
                now=minute_ago,
            )
        )
        return granted.granted

    return world.ledger(grant)


def test_a_lease_that_was_open_is_charged_in_full(filled: World, tmp_path: Path) -> None:
    before = filled.json("cap", "list")[0]["used"]
    assert lease_of(filled, "other") == 1_000_000
    filled.run("backup", str(tmp_path / "trip"))
    filled.run("restore", str(tmp_path / "trip"))
    (cap,) = filled.json("cap", "list")
    assert (cap["used"], cap["reserved"]) == (before + 1_000_000, 0)


@pytest.mark.parametrize("reserved", ["0", "400", "9000000"])
def test_what_is_reserved_after_a_restore_is_what_open_leases_hold(
    filled: World, tmp_path: Path, reserved: str
) -> None:
    path, folder = tmp_path / "trip", StateFolder(filled.state)
    folder.journal.touch()
    folder.write_identity(Identity("own", "run"))
    lease_of(filled, "own")
    filled.run("backup", str(path))
    content = lines(path)
    for line in content[1:-1]:
        if line[0].startswith("scope:"):
            line[2] = {k: reserved if k.endswith("reserved") else v for k, v in line[2].items()}
    write(path, content)
    filled.run("restore", str(path))
    (cap,) = filled.json("cap", "list")
    assert cap["reserved"] == 1_000_000
