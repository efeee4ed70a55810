"""The journal when it is killed, torn, flipped or out of space."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ledger.leases import (
    MIB,
    ROOT,
    fill,
    killed,
    lease,
    opened,
    recovered,
    recovery,
    small_disk,
)
from tripgate.ledger.journal import JournalFull

CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.ledger.leases import lease, opened
from tripgate import durable
from tripgate.ledger import journalfile

folder, point = Path(sys.argv[1]), sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name):
    setattr(owner, name, die)

def after(owner, name):
    real = getattr(owner, name)
    def call(*args, **kwargs):
        real(*args, **kwargs)
        die()
    setattr(owner, name, call)

def halfway(owner, name):
    real = getattr(owner, name)
    def call(fd, data):
        real(fd, data[: len(data) // 2])
        die()
    setattr(owner, name, call)

async def main():
    async with opened(folder) as journal:
        for n in range(3):
            await journal.granted(lease(n))
        journal.closed("gw:one:0", 5)
        if len(sys.argv) > 4:
            journal._limit = 0  # the next write is a rewrite
        globals()[sys.argv[3]](*POINTS[point])
        await journal.granted(lease(9))
        print("confirmed", flush=True)

POINTS = {
    "write": (journalfile, "_write_all"),
    "sync": (journalfile, "_sync_data"),
    "create": (journalfile, "_create"),
    "fsync": (os, "fsync"),
    "rename": (Path, "replace"),
    "folder": (journalfile, "sync_folder"),
}
asyncio.run(main())
"""

BEFORE = {"gw:one:0", "gw:one:1", "gw:one:2"}


@pytest.mark.parametrize(
    ("how", "point", "expected"),
    [
        ("before", "write", BEFORE),
        ("halfway", "write", BEFORE),
        ("after", "write", BEFORE | {"gw:one:9"}),
        ("before", "sync", BEFORE | {"gw:one:9"}),
        ("after", "sync", BEFORE | {"gw:one:9"}),
    ],
)
async def test_a_kill_in_an_append_costs_no_confirmed_grant(
    tmp_path: Path, how: str, point: str, expected: set[str]
) -> None:
    assert killed(CHILD, str(tmp_path), point, how) == ""
    assert (await recovered(tmp_path)).keys() == expected
    assert (await recovery(tmp_path)).intact


@pytest.mark.parametrize(
    ("how", "point", "there"),
    [
        ("before", "create", False),
        ("after", "create", False),
        ("before", "write", False),
        ("halfway", "write", False),
        ("after", "write", False),
        ("before", "fsync", False),
        ("after", "fsync", False),
        ("before", "rename", False),
        ("after", "rename", True),
        ("before", "folder", True),
        ("after", "folder", True),
    ],
)
async def test_a_kill_in_a_rewrite_leaves_the_old_journal_or_the_new(
    tmp_path: Path, how: str, point: str, *, there: bool
) -> None:
    assert killed(CHILD, str(tmp_path), point, how, "rewrite") == ""
    found = await recovered(tmp_path)
    assert found.keys() == (BEFORE | {"gw:one:9"} if there else BEFORE)
    assert found["gw:one:0"].used == (5 if there else MIB)
    assert not (tmp_path / "journal.new").exists()


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.ledger.leases import lease, opened

async def main():
    async with opened(Path(sys.argv[1])) as journal:
        first = int(sys.argv[2])
        journal._limit = 3000  # rewrites among the appends
        async def device(n):
            await journal.granted(lease(n))
            print(n, flush=True)
            journal.closed(f"gw:one:{n - 40}", 7)
        for start in range(first, first + 100000, 10):
            await asyncio.gather(*map(device, range(start, start + 10)))

asyncio.run(main())
"""


def confirmed_before_kill(folder: Path, first: int, lines: int) -> set[int]:
    """Kill the writer when it has confirmed ``lines`` grants; all that it did confirm."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'addons'}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout
        confirmed = {int(child.stdout.readline()) for _ in range(lines)}
        child.send_signal(signal.SIGKILL)
        return confirmed | {int(line) for line in child.stdout if line.endswith("\n")}


@pytest.mark.parametrize("lines", [1, 7, 30, 31, 64, 99])
async def test_a_kill_at_any_moment_costs_no_confirmed_grant(tmp_path: Path, lines: int) -> None:
    confirmed: set[int] = set()
    for first in (0, 100_000):
        confirmed |= confirmed_before_kill(tmp_path, first, lines)
        found = await recovered(tmp_path)
        assert {f"gw:one:{n}" for n in confirmed} <= found.keys()
        assert {one.used for one in found.values()} <= {7, MIB}


async def test_a_tail_that_is_torn_anywhere_costs_no_earlier_grant(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        await journal.granted(lease(2))
    path = tmp_path / "journal"
    whole = path.read_bytes()
    second = whole.index(b"gw:one:2") - len('12345678 ["grant","')
    for size in range(second, len(whole)):
        path.write_bytes(whole[:size])
        found = await recovery(tmp_path)
        assert [one.lease.lease for one in found.leases] == ["gw:one:1"]
        assert found.intact


async def test_a_flipped_byte_is_survived_and_never_lowers_another_lease(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1, 111))
        await journal.granted(lease(2, 222))
        journal.settled("gw:one:2", 333)
    path = tmp_path / "journal"
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x21]) + whole[at + 1 :])
        used = {key: one.used for key, one in (await recovered(tmp_path, None)).items()}
        assert used.items() <= {"gw:one:1": 111, "gw:one:2": 333}.items() or used == {
            "gw:one:1": 111,
            "gw:one:2": 222,
        }


# -- a full disk -----------------------------------------------------------------------------


async def test_a_full_disk_refuses_grants_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", "2m") as disk:
        async with opened(disk) as journal:
            granted = 0
            filler = fill(disk)
            with pytest.raises(JournalFull, match="free some space"):
                async with asyncio.timeout(5):
                    while True:
                        await journal.granted(lease(granted))
                        granted += 1
                        fill(disk)
            filler.unlink()
            await journal.granted(lease(5000))
        expected = {f"gw:one:{n}" for n in (*range(granted), 5000)}
        assert (await recovered(disk)).keys() == expected


async def test_on_a_full_disk_closed_leases_still_get_into_the_journal(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", "2m") as disk:
        async with opened(disk) as journal:
            await asyncio.gather(*(journal.granted(lease(n)) for n in range(500)))
            fill(disk)
            for n in range(500):
                journal.closed(f"gw:one:{n}", 7)
        found = await recovered(disk, None)
        assert {one.used for one in found.values()} == {7}


async def test_a_full_disk_does_not_stop_recovery(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", "2m") as disk:
        async with opened(disk) as journal:
            await asyncio.gather(*(journal.granted(lease(n)) for n in range(300)))
        fill(disk)
        assert len(await recovered(disk)) == 300


async def test_the_reserve_comes_back_when_there_is_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", "2m") as disk:
        reserve = disk / "journal.reserve"
        async with opened(disk) as journal:
            await journal.granted(lease(1))
            filler = fill(disk)
            with pytest.raises(JournalFull):
                for n in range(1000):
                    await journal.granted(lease(n))
                    fill(disk)
            assert not reserve.exists()
            filler.unlink()
            await journal.granted(lease(2000))
            assert reserve.exists()
