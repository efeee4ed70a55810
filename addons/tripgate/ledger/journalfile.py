"""The journal's file: appended to, or replaced whole; durable when a call says so.

Rules
1. Every method blocks on the disk and belongs to one worker thread.
2. A failed append leaves the file as it was: what got in is cut off again.
3. After a failed sync nobody knows what is on the disk, and asking again would lie (the kernel
   drops the dirty pages): the file is *stale*, and only a rewrite makes it usable. So is a file
   that somebody deleted or that was not read yet.
4. A rewrite is a temporary file, synced, renamed, the folder synced: a crash leaves the old file
   or the new one.
5. A reserve file of ``RESERVE`` bytes is given up when the disk is full, so that a rewrite, which
   frees more than it takes, still finds room. It is made again when there is space.
"""

import errno
import os
from pathlib import Path

from tripgate.durable import sync_folder

RESERVE = 256 * 1024
READ_MAX = 16 * 1024 * 1024
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_MODE = 0o600
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class JournalFile:
    """``path``, with ``path.new`` while it is replaced and ``path.reserve`` beside it."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._path = path
        self._new = path.with_name(path.name + ".new")
        self._reserve = path.with_name(path.name + ".reserve")
        self._fd: int | None = None
        self._broken = False
        self._stocked = False

    @property
    def stale(self) -> bool:
        """Only a rewrite can make the file durable (again)."""
        return self._fd is None or self._broken or os.fstat(self._fd).st_nlink == 0

    def read(self) -> bytes | None:
        """All of the file, ``None`` if there is none; more than ``READ_MAX`` is not read."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read(READ_MAX)

    def append(self, data: bytes, *, durable: bool) -> None:
        """Add ``data``; with ``durable`` it (and all before it) is on the disk on return."""
        assert self._fd is not None
        try:
            _write_all(self._fd, data)
        except OSError:
            self._cut()
            raise
        self.size += len(data)
        if durable:
            self._sync()
        if not self._stocked:
            self._stock()

    def rewrite(self, data: bytes) -> None:
        """Put ``data`` in place of the whole file, durably."""
        try:
            self._replace(data)
        except OSError as error:
            self._stocked = False
            if error.errno not in FULL or not _unlink(self._reserve):
                raise
            self._replace(data)
        self._stock()

    def close(self) -> None:
        """Let go of the file; what was not synced may still be lost by a power cut."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _sync(self) -> None:
        assert self._fd is not None
        try:
            _sync_data(self._fd)
        except OSError:
            self._broken = True
            raise

    def _cut(self) -> None:
        assert self._fd is not None
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self._broken = True

    def _replace(self, data: bytes) -> None:
        fd = _create(self._new)
        try:
            _write_all(fd, data)
            os.fsync(fd)
            self._new.replace(self._path)
        except OSError:
            os.close(fd)
            _unlink(self._new)
            raise
        self.close()
        self._fd, self.size, self._broken = fd, len(data), True
        sync_folder(self._path.parent)
        self._broken = False

    def _stock(self) -> None:
        """Make the reserve if it is missing; without space there is none until the next write."""
        try:
            if not self._reserve.exists():
                with os.fdopen(_create(self._reserve), "wb") as file:
                    file.write(bytes(RESERVE))
            self._stocked = True
        except OSError:
            _unlink(self._reserve)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, _MODE)
    os.fchmod(fd, _MODE)  # a file that was left there may have another mode
    return fd


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
