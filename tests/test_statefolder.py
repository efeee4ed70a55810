"""The state folder: made private, held by one gateway, written whole."""

import fcntl
import grp
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tripgate import durable, statefolder
from tripgate.statefolder import LEASES, Identity, StateError, StateFolder

LONG = "a-rather-long-name-" * 6
IDENTITY = Identity("gw-1", "run-1")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.create()
    return made


# ---- making it -----------------------------------------------------------------------------


def test_a_new_folder_is_the_owners_alone(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "deep/state")
    folder.create()
    assert mode(folder.path) == 0o700
    assert mode(folder.redis_dir) == 0o700
    assert folder.file_mode == 0o600


def test_making_it_twice_changes_nothing(folder: StateFolder) -> None:
    folder.write_identity(IDENTITY)
    folder.create()
    assert folder.read_identity() == IDENTITY


def test_an_open_folder_of_ours_is_closed_to_others(folder: StateFolder) -> None:
    folder.write_identity(IDENTITY)
    folder.path.chmod(0o755)
    folder.create()
    assert mode(folder.path) == 0o700


def test_a_folder_that_dnsmasq_was_first_in_is_taken(tmp_path: Path) -> None:
    """As system services both start at boot, and the gateway may fail at first."""
    (tmp_path / LEASES).touch()
    StateFolder(tmp_path).create()


def test_a_folder_with_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(StateError, match="is not empty and no state folder: name a new one"):
        StateFolder(tmp_path).create()
    assert mode(tmp_path) == 0o755
    assert not (tmp_path / "redis").exists()


def test_a_shared_scratch_folder_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(StateError, match="no state folder"):
        StateFolder(tmp_path).create()
    assert mode(tmp_path) == 0o1777


def test_a_name_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match="name a folder of your own with --state DIR"):
        StateFolder(tmp_path / "state").create()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to a group")
def test_the_systems_folder_is_shared_with_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StateFolder(tmp_path / "tripgate")
    group = grp.getgrgid(1)
    monkeypatch.setattr(statefolder, "SYSTEM", folder.path)
    monkeypatch.setattr(statefolder, "GROUP", group.gr_name)
    folder.create()
    folder.write_redis_url("unix:///x")
    assert mode(folder.path) == 0o2770
    assert folder.path.stat().st_gid == group.gr_gid
    assert folder.redis_url_file.stat().st_gid == group.gr_gid
    assert mode(folder.redis_url_file) == 0o660


# ---- sockets -------------------------------------------------------------------------------


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def of_length(tmp_path: Path, length: int) -> StateFolder:
    """A new state folder whose control socket would have a path of ``length`` bytes here."""
    room = length - len(str(tmp_path / "x" / "gateway.sock")) + 1
    folder = StateFolder(tmp_path / ("s" * room))
    folder.create()
    return folder


def test_sockets_lie_in_the_folder_while_their_path_fits(tmp_path: Path) -> None:
    folder = of_length(tmp_path, 107)
    assert folder.sockets == folder.path
    bind(folder.control_socket)


def test_one_byte_more_does_not_fit(tmp_path: Path) -> None:
    folder = of_length(tmp_path, 108)
    try:
        assert folder.sockets != folder.path
        bind(folder.control_socket)
    finally:
        remove(folder.sockets)


def test_sockets_of_a_long_name_lie_in_a_private_folder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / LONG)
    folder.create()
    try:
        bind(folder.control_socket)
        bind(folder.redis_socket)
        assert folder.sockets != folder.path
        assert mode(folder.sockets) == 0o700
        assert StateFolder(folder.path).control_socket == folder.control_socket
    finally:
        remove(folder.sockets)


def test_the_next_run_uses_the_same_private_folder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / LONG)
    folder.create()
    folder.write_identity(IDENTITY)
    first = folder.sockets
    folder.create()
    try:
        assert folder.sockets == first
    finally:
        remove(first)


@pytest.mark.parametrize("spoil", ["open", "gone", "link"])
def test_a_socket_folder_that_is_not_private_is_replaced(tmp_path: Path, spoil: str) -> None:
    folder = StateFolder(tmp_path / LONG)
    folder.create()
    folder.write_identity(IDENTITY)
    first = folder.sockets
    if spoil == "open":
        first.chmod(0o755)
    else:
        first.rmdir()
    if spoil == "link":
        first.symlink_to(tmp_path)
    folder.create()
    try:
        assert folder.sockets != first
        assert mode(folder.sockets) == 0o700
    finally:
        remove(first)
        remove(folder.sockets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_socket_folder_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / LONG)
    folder.create()
    folder.write_identity(IDENTITY)
    first = folder.sockets
    os.chown(first, 65534, -1)
    folder.create()
    try:
        assert folder.sockets != first
    finally:
        remove(first)
        remove(folder.sockets)


def remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()


# ---- holding it ----------------------------------------------------------------------------


def test_a_folder_nobody_holds_is_free(folder: StateFolder) -> None:
    assert not folder.is_held()
    with folder.locked():
        pass
    assert not folder.is_held()


def test_a_folder_that_does_not_exist_is_free(tmp_path: Path) -> None:
    assert not StateFolder(tmp_path / "none").is_held()


HOLD = """
import sys
from pathlib import Path
from tripgate.statefolder import StateFolder
with StateFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(folder: StateFolder) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder.path],
        env={"PYTHONPATH": str(Path(statefolder.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_gateway_is_refused(
    folder: StateFolder, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statefolder, "LOCK_WAIT_S", 0.05)
    assert folder.is_held()
    running = pytest.raises(StateError, match=f"a gateway is running on {folder.path}: stop it")
    with running, folder.locked():
        pass


def test_who_runs_and_how_to_stop_it_is_told(
    folder: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    monkeypatch.setattr(statefolder, "LOCK_WAIT_S", 0.05)
    monkeypatch.setattr(statefolder, "LOCKS", locks)
    with folder.locked():
        number = folder.lock_file.stat().st_ino
        for holder, how in (("4711", " (Ctrl-C there, or kill 4711)"), ("0", ""), ("-1", "")):
            locks.write_text(
                f"1: POSIX  ADVISORY  WRITE 9 00:19:{number} 0 EOF\n"
                f"2: FLOCK  ADVISORY  WRITE 8 00:19:1{number}0 0 EOF\n"
                "2: -> FLOCK  ADVISORY  WRITE 7 00:19:1 0 EOF\n"
                f"3: FLOCK  ADVISORY  WRITE {holder} 00:19:{number} 0 EOF\n"
            )
            running = pytest.raises(StateError, match=re.escape(f"stop it{how}, or name another"))
            with running, folder.locked():
                pass
        locks.unlink()
        with pytest.raises(StateError, match="stop it, or name another"), folder.locked():
            pass


def test_a_service_is_stopped_by_systemd(
    folder: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statefolder, "LOCK_WAIT_S", 0.05)
    monkeypatch.setattr(statefolder, "SYSTEM", folder.path)
    monkeypatch.setattr(statefolder, "UNIT", folder.path)
    running = pytest.raises(StateError, match=r"stop it \(sudo systemctl stop tripgate\), or")
    with folder.locked(), running, folder.locked():
        pass


def test_a_killed_gateway_holds_nothing(
    folder: StateFolder, holder: "subprocess.Popen[str]"
) -> None:
    holder.kill()
    holder.wait()
    assert not folder.is_held()
    with folder.locked():
        pass


def test_asking_does_not_keep_a_gateway_from_starting(folder: StateFolder) -> None:
    with folder.locked():
        pass
    asker = os.open(folder.lock_file, os.O_RDONLY)
    fcntl.flock(asker, fcntl.LOCK_SH)
    waited = []

    def look_and_leave(fd: int, kind: int) -> bool:
        if not waited:
            waited.append(lock(fd, kind))
            os.close(asker)
            return waited[0]
        return lock(fd, kind)

    lock = statefolder._lock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statefolder, "_lock", look_and_leave)
        with folder.locked():
            assert waited == [False]


def test_a_child_process_does_not_inherit_the_lock(folder: StateFolder) -> None:
    with folder.locked():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert not folder.is_held()
    finally:
        child.kill()
        child.wait()


# ---- what is written in it -----------------------------------------------------------------


def test_a_new_folder_has_no_identity_and_no_ledger(folder: StateFolder) -> None:
    assert folder.read_identity() is None
    assert folder.read_redis_url() is None


def test_an_identity_is_read_as_it_was_written(folder: StateFolder) -> None:
    folder.write_identity(IDENTITY)
    assert folder.read_identity() == IDENTITY
    document = json.loads(folder.gateway_json.read_text())
    assert document == {"gateway": "gw-1", "instance": "run-1", "schema": 1}


def test_the_ledgers_url_is_for_the_owner_alone(folder: StateFolder) -> None:
    folder.write_redis_url("redis://:s3cret@localhost/0")
    assert folder.read_redis_url() == "redis://:s3cret@localhost/0"
    assert mode(folder.redis_url_file) == 0o600


def test_state_of_a_newer_schema_is_refused(folder: StateFolder) -> None:
    folder.gateway_json.write_text('{"gateway": "g", "instance": "i", "schema": 2, "new": true}')
    with pytest.raises(StateError, match=r"newer tripgate \(schema 2, this one knows 1\): upgrade"):
        folder.read_identity()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"gateway": "g"}', "[" * 100_000),
        '{"gateway": "g", "instance": "i", "schema": "1"}',
        '{"gateway": "g", "instance": "i", "schema": true}',
        '{"gateway": "", "instance": "i", "schema": 1}',
        '{"gateway": "a:b", "instance": "i", "schema": 1}',
        '{"gateway": "g", "instance": 7, "schema": 1}',
        '{"gateway": "\\u001b[31m", "instance": "i", "schema": 1}',
    ],
)
def test_a_damaged_identity_says_what_to_do(folder: StateFolder, text: str) -> None:
    folder.gateway_json.write_text(text)
    with pytest.raises(StateError, match=r"gateway\.json is damaged: restore a backup, or delete"):
        folder.read_identity()


def test_a_write_that_fails_leaves_the_old_file(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_redis_url("unix:///old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="No space left on device: free some space there"):
        folder.write_redis_url("unix:///new")
    assert folder.read_redis_url() == "unix:///old"


def test_a_file_is_on_the_disk_before_it_has_its_name(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    fsync = os.fsync

    def note(fd: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(fd).st_mode), folder.redis_url_file.exists()))
        fsync(fd)

    monkeypatch.setattr(durable.os, "fsync", note)
    folder.write_redis_url("unix:///new")
    assert seen == [(False, False), (True, True)]


def test_what_a_crash_left_is_overwritten(folder: StateFolder) -> None:
    left = folder.path / "redis.url.new"
    left.write_text("half of a much longer address than the one that follows")
    folder.write_redis_url("unix:///new")
    assert folder.read_redis_url() == "unix:///new"
    assert not left.exists()
