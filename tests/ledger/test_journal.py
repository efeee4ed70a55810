"""The journal: what was confirmed is there again, what is not needed goes, nothing grows."""

import asyncio
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger.leases import MIB, lease, opened, progress, recovered, recovery
from tripgate.core import record as records
from tripgate.core.record import LeaseRecord
from tripgate.ledger import journalfile
from tripgate.ledger.journal import (
    KEEP_S,
    REWRITE_AT,
    SIZE_MAX,
    SYNC_EVERY_S,
    Journal,
    JournalDown,
    JournalFull,
)
from tripgate.ledger.protocol import NewerState

Sync = Callable[[int], None]


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every sync of an append."""
    done: list[int] = []
    real = journalfile._sync_data

    def sync(fd: int) -> None:
        real(fd)
        done.append(fd)

    monkeypatch.setattr(journalfile, "_sync_data", sync)
    return done


async def written(journal: Journal, now: float = 0.0, *, contact: bool = True) -> None:
    """A tick, and its write."""
    journal.tick(now, contact=contact)
    if journal._writer:
        await journal._writer


# -- grants ----------------------------------------------------------------------------------


async def test_a_confirmed_grant_is_charged_in_full_after_a_reboot(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1, MIB))
        await journal.granted(lease(1, 3 * MIB))
    found = (await recovered(tmp_path, "another boot"))["gw:one:1"]
    assert (found.lease, found.used, found.exact) == (lease(1, 3 * MIB), 3 * MIB, False)


async def test_a_grant_is_confirmed_only_after_its_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        entered.set()
        leave.wait(20)

    async with opened(tmp_path) as journal:
        monkeypatch.setattr(journalfile, "_sync_data", sync)
        asked = asyncio.create_task(journal.granted(lease(1)))
        assert await asyncio.to_thread(entered.wait, 20)
        assert not asked.done()
        leave.set()
        await asked


async def test_the_event_loop_goes_on_while_the_disk_syncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = threading.Event()
    async with opened(tmp_path) as journal:
        monkeypatch.setattr(journalfile, "_sync_data", lambda _: leave.wait(20))
        asked = asyncio.create_task(journal.granted(lease(1)))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(leave.set)
        await asked


async def test_grants_that_come_together_share_a_sync(tmp_path: Path, syncs: list[int]) -> None:
    async with opened(tmp_path) as journal:
        await asyncio.gather(*(journal.granted(lease(n)) for n in range(100)))
        assert len(syncs) <= 2
    assert len(await recovered(tmp_path)) == 100


async def test_a_caller_that_gave_up_disturbs_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        first = asyncio.create_task(journal.granted(lease(1)))
        second = asyncio.create_task(journal.granted(lease(2)))
        await asyncio.sleep(0)
        first.cancel()
        await second
        await journal.granted(lease(3))
    assert {"gw:one:2", "gw:one:3"} <= (await recovered(tmp_path)).keys()


async def test_there_is_no_grant_before_the_journal_was_recovered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    with pytest.raises(JournalDown, match="recovered"):
        await journal.granted(lease(1))
    await journal.aclose()


async def test_a_grant_that_could_not_be_read_back_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        with pytest.raises(JournalDown, match="cannot be journalled"):
            await journal.granted(LeaseRecord("gw:one:1", "two words", (), 5))


# -- what the ledger confirmed ---------------------------------------------------------------


async def test_what_was_settled_needs_no_sync_and_is_there_after_the_next_tick(
    tmp_path: Path, syncs: list[int]
) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1, 100))
        count = len(syncs)
        journal.settled("gw:one:1", 150)
        journal.settled("gw:one:1", 120)
        await written(journal)
        assert len(syncs) == count
        read = records.read((tmp_path / "journal").read_bytes())
    assert read.entries["gw:one:1"].used == 150


async def test_more_was_settled_than_granted_and_all_of_it_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1, 100))
        journal.settled("gw:one:1", 150)
    assert (await recovered(tmp_path, None))["gw:one:1"].used == 150


async def test_a_closed_lease_has_the_amount_it_was_closed_with(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1, 100))
        journal.closed("gw:one:1", 60)
    found = (await recovered(tmp_path, None))["gw:one:1"]
    assert (found.used, found.exact) == (60, True)


async def test_what_is_said_of_an_unknown_lease_is_ignored(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        journal.settled("gw:one:9", 5)
        journal.closed("gw:one:9", 5)
        assert journal.recent() == ()
        await written(journal)
    assert await recovered(tmp_path) == {}


async def test_a_closed_lease_is_kept_for_its_time_and_then_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        journal.closed("gw:one:1", 60)
        await written(journal, 100.0)
        await written(journal, 100.0 + KEEP_S - 0.1)
        assert [one.used for one in journal.recent()] == [60]
        await written(journal, 100.0 + KEEP_S)
        assert journal.recent() == ()
    assert await recovered(tmp_path) == {}


async def test_time_without_contact_does_not_count(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        journal.closed("gw:one:1", 60)
        await written(journal, 100.0)
        await written(journal, 108.0, contact=False)
        await written(journal, 1000.0)
        assert len(journal.recent()) == 1
        await written(journal, 1000.0 + KEEP_S)
        assert journal.recent() == ()


async def test_closing_a_lease_again_begins_its_time_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        journal.closed("gw:one:1", 60)
        await written(journal, 100.0)
        journal.closed("gw:one:1", 60)
        await written(journal, 109.0)
        await written(journal, 110.0)
        assert len(journal.recent()) == 1


async def test_what_was_only_written_is_synced_within_its_time(
    tmp_path: Path, syncs: list[int]
) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        await written(journal, 1000.0)
        journal.settled("gw:one:1", 5)
        await written(journal, 1001.0)
        count = len(syncs)
        await written(journal, 1000.9 + SYNC_EVERY_S)
        assert len(syncs) == count
        await written(journal, 1001.0 + SYNC_EVERY_S)
        assert len(syncs) == count + 1
        await written(journal, 1003.0 + 2 * SYNC_EVERY_S)
        assert len(syncs) == count + 1


# -- recovery --------------------------------------------------------------------------------


async def test_the_progress_of_this_boot_is_exact(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        progress(tmp_path).slot("gw:one:1").set(777)
        await journal.granted(lease(1))
    found = (await recovered(tmp_path))["gw:one:1"]
    assert (found.used, found.exact) == (777, True)


async def test_progress_is_never_less_than_what_was_settled(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        progress(tmp_path).slot("gw:one:1").set(777)
        await journal.granted(lease(1))
        journal.settled("gw:one:1", 800)
    assert (await recovered(tmp_path))["gw:one:1"].used == 800


async def test_what_one_recovery_decided_all_later_ones_say(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        slot = progress(tmp_path).slot("gw:one:1")
        slot.set(777)
        await journal.granted(lease(1))
    first = await recovered(tmp_path)
    slot.set(999)
    assert await recovered(tmp_path) == first
    assert await recovered(tmp_path, "another boot") == first


async def test_a_missing_journal_is_not_intact_and_a_fresh_one_is(tmp_path: Path) -> None:
    assert not (await recovery(tmp_path)).intact
    assert (await recovery(tmp_path)).intact


async def test_damage_in_the_middle_is_told_and_costs_its_line_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as journal:
        for n in (1, 2, 3):
            await journal.granted(lease(n))
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes().replace(b"gw:one:2", b"gw:two:2"))
    found = await recovery(tmp_path)
    assert [one.lease.lease for one in found.leases] == ["gw:one:1", "gw:one:3"]
    assert not found.intact
    assert "1 damaged line" in caplog.text


async def test_a_torn_tail_is_no_damage_and_the_next_grant_is_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        await journal.granted(lease(2))
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes()[:-20])
    async with opened(tmp_path) as journal:
        await journal.granted(lease(3))
    found = await recovery(tmp_path)
    assert [one.lease.lease for one in found.leases] == ["gw:one:1", "gw:one:3"]
    assert found.intact


async def test_a_newer_journal_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    newer = records._line(["tripgate-journal", 2]) + b"whatever\n"
    path.write_bytes(newer)
    journal = Journal(path)
    with pytest.raises(NewerState, match="newer tripgate"):
        await journal.recover(progress(tmp_path))
    await journal.aclose()
    assert path.read_bytes() == newer


async def test_closing_without_recovery_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
    before = (tmp_path / "journal").read_bytes()
    await Journal(tmp_path / "journal").aclose()
    assert (tmp_path / "journal").read_bytes() == before


# -- size ------------------------------------------------------------------------------------


async def test_a_hundred_thousand_grants_stay_within_the_bound(tmp_path: Path) -> None:
    path, largest, sequence = tmp_path / "journal", 0, 0
    async with opened(tmp_path) as journal:
        for round_ in range(500):
            if round_ % 50 == 0:  # every device gets a new lease
                for n in range(sequence - 200, sequence):
                    journal.closed(f"gw:one:{n}", 5)
                sequence += 200
            now = range(sequence - 200, sequence)
            await asyncio.gather(*(journal.granted(lease(n, MIB * round_)) for n in now))
            await written(journal, round_ * 6.0)
            largest = max(largest, path.stat().st_size)
        assert len(journal.recent()) == 0
    assert REWRITE_AT // 2 < largest < SIZE_MAX
    assert len(await recovered(tmp_path)) == 200


async def test_a_full_journal_refuses_grants_until_leases_are_gone(tmp_path: Path) -> None:
    long = lease(0).limits * 8
    async with opened(tmp_path) as journal:
        count = 0
        with pytest.raises(JournalFull, match="settled first"):
            while True:
                await journal.granted(LeaseRecord(f"gw:one:{count}", "dev-aaaa", long, MIB))
                count += 1
        assert SIZE_MAX * 0.9 < (tmp_path / "journal").stat().st_size <= SIZE_MAX
        for n in range(count):
            journal.closed(f"gw:one:{n}", 5)
        await written(journal, 0.0)
        await written(journal, KEEP_S)
        await journal.granted(lease(count))
    assert (await recovered(tmp_path)).keys() == {f"gw:one:{count}"}


# -- the file --------------------------------------------------------------------------------


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    left = tmp_path / "journal.new"
    left.touch()
    left.chmod(0o666)
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
    for name in ("journal", "journal.reserve", "progress"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(records.header())
    (tmp_path / "journal").symlink_to(tmp_path / "elsewhere")
    journal = Journal(tmp_path / "journal")
    with pytest.raises(JournalDown, match="see that it can be read"):
        await journal.recover(progress(tmp_path))
    await journal.aclose()


async def test_a_file_that_somebody_deleted_is_written_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        (tmp_path / "journal").unlink()
        await journal.granted(lease(2))
    assert (await recovered(tmp_path)).keys() == {"gw:one:1", "gw:one:2"}


async def test_after_a_failed_sync_the_whole_file_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    async with opened(tmp_path) as journal:
        await journal.granted(lease(1))
        before = (tmp_path / "journal").stat().st_ino
        monkeypatch.setattr(journalfile, "_sync_data", fails)
        await journal.granted(lease(2))
        assert (tmp_path / "journal").stat().st_ino != before
    assert (await recovered(tmp_path)).keys() == {"gw:one:1", "gw:one:2"}


async def test_a_disk_that_is_gone_refuses_the_grant_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with opened(folder) as journal:
        folder.rename(tmp_path / "away")
        (tmp_path / "away" / "journal").unlink()
        for _ in range(3):
            with pytest.raises(JournalDown, match="see that it can be"):
                await journal.granted(lease(1))
        assert caplog.text.count("no grants") == 1
        (tmp_path / "away").rename(folder)
        await journal.granted(lease(2))
    assert (await recovered(folder)).keys() == {"gw:one:2"}
