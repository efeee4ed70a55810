"""The state folder: where it is, what lies in it, who holds it.

Rules
1. One live gateway per folder: it holds a ``flock`` on ``gateway.lock`` for as long as it lives.
2. A file is written to a temporary name, synced and renamed, and the folder synced.
3. The folder is its owner's alone (0700, files 0600), or the group's where the system's own
   folder has one (2770, files 0660). A folder that is not empty and not ours is left alone.
4. A socket's path holds 107 bytes. Where the folder's own path is too long for that, the sockets
   lie in a short private folder, and the link ``run`` says where.
5. State of a newer schema is not touched.
"""

import contextlib
import errno
import fcntl
import grp
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tripgate.durable import replace_file, sync_folder

SCHEMA = 1
SYSTEM = Path("/var/lib/tripgate")
GROUP = "tripgate"
LEASES = "dhcp.leases"
"""Of dnsmasq, in the state folder."""
SOCKET_MOST = 107
LOCK_WAIT_S = 1.0
LOCKS = Path("/proc/locks")
UNIT = Path("/etc/systemd/system/tripgate.service")
_FILE_MOST = 64 * 1024
_LONGEST_SOCKET = "gateway.sock"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StateError(Exception):
    """The state folder cannot be used. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which gateway this is (for ever) and which run of it (``instance``)."""

    gateway: str
    instance: str


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A state folder and the names in it. Nothing is made before :meth:`create`."""

    path: Path

    @property
    def lock_file(self) -> Path:
        return self.path / "gateway.lock"

    @property
    def gateway_json(self) -> Path:
        return self.path / "gateway.json"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def progress(self) -> Path:
        """The progress page of the open leases."""
        return self.path / "progress"

    @property
    def redis_url_file(self) -> Path:
        return self.path / "redis.url"

    @property
    def claim_file(self) -> Path:
        """The one-time code for the first owner (:mod:`tripgate.portal.claim`)."""
        return self.path / "claim.json"

    @property
    def redis_dir(self) -> Path:
        """The embedded server's own folder."""
        return self.path / "redis"

    @property
    def control_socket(self) -> Path:
        return self.sockets / "gateway.sock"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "redis.sock"

    @property
    def sockets(self) -> Path:
        """Where the sockets lie: here, or where the link ``run`` says (rule 4)."""
        if self._fits:
            return self.path
        try:
            return (self.path / "run").readlink()
        except OSError:
            return self.path

    @property
    def _fits(self) -> bool:
        return len(os.fsencode(self.path / _LONGEST_SOCKET)) <= SOCKET_MOST

    @property
    def file_mode(self) -> int:
        """For files and sockets in the folder: 0600, or 0660 where a group shares it."""
        return 0o660 if self.path.stat().st_mode & stat.S_IWGRP else 0o600

    # ---- making it -------------------------------------------------------------------------

    def create(self) -> None:
        """Make the folder, or take an empty one or one of ours, and see that it is private."""
        with _told(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_foreign()
            self._make_private()
            self.redis_dir.mkdir(mode=self.path.stat().st_mode & 0o770, exist_ok=True)
            self._make_sockets()

    def _refuse_foreign(self) -> None:
        ours = self.lock_file.exists() or self.gateway_json.exists()
        sticky = self.path.stat().st_mode & stat.S_ISVTX
        # As a system service dnsmasq may have been there first.
        others = any(one.name != LEASES for one in self.path.iterdir())
        if not ours and (sticky or others):
            raise StateError(
                f"{self.path} is not empty and no state folder: name a new one with --state"
            )

    def _make_private(self) -> None:
        found = self.path.stat()
        if os.geteuid() not in {found.st_uid, 0}:
            if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
                raise StateError(f"{self.path} belongs to somebody else: {_mend(self.path)}")
            return
        group = group_id() if self.path == SYSTEM else None
        if group is not None and os.geteuid() == 0:
            # Left alone where it is right: a service may have no power to set a group's bit.
            if (found.st_gid, stat.S_IMODE(found.st_mode)) != (group, 0o2770):
                os.chown(self.path, -1, group)
                self.path.chmod(0o2770)
        elif stat.S_IMODE(found.st_mode) & 0o007 or self.path != SYSTEM:
            self.path.chmod(0o700)

    def _make_sockets(self) -> None:
        """Rule 4. A folder of an earlier run is used again while it is still private."""
        now = self.sockets
        if self._fits or (now != self.path and _is_private(now, self.path.stat().st_uid)):
            return
        link = self.path / "run"
        link.unlink(missing_ok=True)
        link.symlink_to(tempfile.mkdtemp(prefix="tripgate-", dir="/tmp"))

    # ---- holding it ------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; :class:`StateError` when a gateway does. Needs :meth:`create`."""
        with _told(self.path):
            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, self.file_mode)
        try:
            if not _lock_within(fd, LOCK_WAIT_S):
                raise StateError(
                    f"a gateway is running on {self.path}: stop it{self._how()}, or name another "
                    "folder with --state"
                )
            yield
        finally:
            os.close(fd)

    def _how(self) -> str:
        """How the gateway that holds the folder is stopped."""
        if self.path == SYSTEM and UNIT.exists():
            return " (sudo systemctl stop tripgate)"
        holder = _holder(self.lock_file)
        return f" (Ctrl-C there, or kill {holder})" if holder else ""

    def is_held(self) -> bool:
        """Does a live gateway hold the folder?"""
        try:
            fd = os.open(self.lock_file, os.O_RDONLY)
        except OSError:
            return False
        try:
            return not _lock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    # ---- what is written in it -------------------------------------------------------------

    def read_identity(self) -> Identity | None:
        """Who the last run was; ``None`` in a new folder. :class:`StateError` by rule 5."""
        text = self._read(self.gateway_json)
        if text is None:
            return None
        try:
            document = json.loads(text)
            schema = document["schema"]
            tokens = document["gateway"], document["instance"]
            if type(schema) is not int or not all(_TOKEN.fullmatch(token) for token in tokens):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StateError(
                f"{self.gateway_json} is damaged: restore a backup, or delete the file to go on "
                "as a new gateway"
            ) from None
        if schema > SCHEMA:
            raise StateError(
                f"{self.path} was written by a newer tripgate (schema {schema}, this one knows "
                f"{SCHEMA}): upgrade this program, or name another folder with --state"
            )
        return Identity(*tokens)

    def write_identity(self, identity: Identity) -> None:
        document = {
            "gateway": identity.gateway,
            "instance": identity.instance,
            "schema": SCHEMA,
        }
        self.write(self.gateway_json, json.dumps(document) + "\n")

    def read_redis_url(self) -> str | None:
        """The ledger that the gateway uses; ``None`` when none was ever started here."""
        text = self._read(self.redis_url_file)
        return text.strip() if text else None

    def write_redis_url(self, url: str) -> None:
        self.write(self.redis_url_file, url + "\n")

    def read_claim(self) -> str | None:
        return self._read(self.claim_file)

    def write_claim(self, text: str) -> None:
        self.write(self.claim_file, text)

    def remove_claim(self) -> None:
        with _told(self.path):
            self.claim_file.unlink(missing_ok=True)
            sync_folder(self.path)

    def notify_file(self, key: str) -> Path:
        """The URL of a channel of messages, by the channel's key (hex digits)."""
        return self.path / f"notify-{key}.url"

    def read_notify_url(self, key: str) -> str | None:
        text = self._read(self.notify_file(key))
        return text.strip() if text else None

    def write_notify_url(self, key: str, url: str) -> None:
        self.write(self.notify_file(key), url + "\n")

    def remove_notify_url(self, key: str) -> None:
        with _told(self.path):
            self.notify_file(key).unlink(missing_ok=True)
            sync_folder(self.path)

    def write(self, path: Path, text: str) -> None:
        """Put ``text`` in place of ``path``, whole or not at all (rule 2)."""
        with _told(self.path):
            replace_file(path, text, self.file_mode)

    def _read(self, path: Path) -> str | None:
        with _told(self.path):
            try:
                with path.open(encoding="utf-8", errors="replace") as file:
                    return file.read(_FILE_MOST)
            except FileNotFoundError:
                return None


def group_id() -> int | None:
    """The group whose people may use the system's folder; ``None``: there is none."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _is_private(folder: Path, owner: int) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077
    )  # a folder of somebody else could be listened in


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> int | None:
    """The process that has locked a file, as far as the kernel tells (proc_locks(5))."""
    try:
        inode, lines = str(path.stat().st_ino), LOCKS.read_text().splitlines()
    except OSError:
        return None
    for fields in map(str.split, lines):
        if fields[1:4:2] == ["FLOCK", "WRITE"] and fields[5].endswith(f":{inode}"):
            return max(0, int(fields[4])) or None  # 0: of another namespace
    return None


def _lock_within(fd: int, seconds: float) -> bool:
    """Tries again for a moment: a command that asks :meth:`is_held` holds it for an instant."""
    deadline = time.monotonic() + seconds
    while not _lock(fd, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """System errors as :class:`StateError`."""
    try:
        yield
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}: {_mend(path, error.errno)}") from None


def _mend(path: Path, number: int | None = errno.EACCES) -> str:
    if number in {errno.EACCES, errno.EPERM} and path == SYSTEM:
        return f"join the group {GROUP} (sudo adduser $USER {GROUP}), or use sudo"
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return "free some space there"
    return "name a folder of your own with --state DIR"
