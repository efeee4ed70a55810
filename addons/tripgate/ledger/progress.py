"""The progress page: how much of each open lease was taken, kept where a crash leaves it.

A plain store into a mapped file costs no system call, and after kill -9 the page cache still has
it. So the next run settles what was really taken; after a reboot it cannot know.

Rules
1. ``SLOTS`` slots of four 64-bit words: the tag (two words), the amount, one unused. The tag is a
   hash of the boot and the lease: a page of an earlier boot holds nothing.
2. The amount is one aligned word, so a store is whole or not there. Its low 16 bits check the
   other 48, under a key of the lease; an amount that fails the check is not known.
3. Put the amount there before the bytes move; then it is never too low.
4. A released slot is the last to be used again: what it said can be read for some time yet.
5. The page only makes recovery exact. Without it (no boot id, no disk) everything works, and a
   crash charges full grants.
6. Slots are given out after the leases of an earlier run are journalled as ended, never before.
"""

import logging
import mmap
import os
from collections import deque
from hashlib import blake2b
from pathlib import Path

SLOTS = 512
SLOT_BYTES = 32

_WORDS = SLOT_BYTES // 8
_PRIME = 65521  # the largest below 2**16: every flip of one bit changes the remainder
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = logging.getLogger("tripgate.progress")


class Slot:
    """The place of one lease."""

    __slots__ = ("_at", "_index", "_key", "_page", "_words")

    def __init__(self, page: "Progress", index: int | None, key: int) -> None:
        self._page = page
        self._index = index
        self._key = key
        self._words = page.nowhere if index is None else page.words
        self._at = 0 if index is None else index * _WORDS + 2

    def set(self, taken: int) -> None:
        """``taken``: all bytes of the lease so far, below 2**48."""
        self._words[self._at] = taken << 16 | (taken % _PRIME ^ self._key)

    def release(self) -> None:
        """The lease is closed; later calls of ``set`` have no effect."""
        if self._index is not None:
            self._page.free.append(self._index)
            self._index, self._words, self._at = None, self._page.nowhere, 0


class Progress:
    """The page at ``path``. ``boot`` names the running kernel's boot (see :func:`boot_id`)."""

    def __init__(self, path: Path, boot: str | None) -> None:
        self._boot = boot
        self.words = _map(path) if boot else _memory()
        self.nowhere = memoryview(bytearray(8)).cast("Q")
        self.free = deque(range(SLOTS))
        self._slots = {self._tag(index): index for index in range(SLOTS)}

    def slot(self, lease: str) -> Slot:
        """A slot for a new lease, at zero; with all slots taken one that keeps nothing."""
        tag = self._hash(lease)
        if not self.free:
            return Slot(self, None, tag[1] & 0xFFFF)
        index = self.free.popleft()
        self._slots.pop(self._tag(index), None)
        at = index * _WORDS
        self.words[at] = self.words[at + 1] = 0
        slot = Slot(self, index, tag[1] & 0xFFFF)
        slot.set(0)
        self.words[at], self.words[at + 1] = tag
        self._slots[tag] = index
        return slot

    def read(self, lease: str) -> int | None:
        """What was taken of the lease in this boot, by whichever run; ``None`` if not known."""
        tag = self._hash(lease)
        index = self._slots.get(tag)
        if index is None:
            return None
        word = self.words[index * _WORDS + 2]
        taken = word >> 16
        return taken if word & 0xFFFF == taken % _PRIME ^ tag[1] & 0xFFFF else None

    def _tag(self, index: int) -> tuple[int, int]:
        return self.words[index * _WORDS], self.words[index * _WORDS + 1]

    def _hash(self, lease: str) -> tuple[int, int]:
        digest = blake2b(f"{self._boot}\n{lease}".encode(), digest_size=16).digest()
        return int.from_bytes(digest[:8]), int.from_bytes(digest[8:])


def boot_id() -> str | None:
    """The kernel's name for this boot; ``None`` where it has none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def _map(path: Path) -> "memoryview[int]":
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, 0o600)
            # Blocks are taken now: a store into a hole of a file on a full disk would kill us.
            os.posix_fallocate(fd, 0, SLOTS * SLOT_BYTES)
            return memoryview(mmap.mmap(fd, SLOTS * SLOT_BYTES)).cast("Q")
        finally:
            os.close(fd)
    except OSError as error:
        log.warning("%s: %s: a crash will charge whole grants", path, error.strerror or error)
        return _memory()


def _memory() -> "memoryview[int]":
    return memoryview(bytearray(SLOTS * SLOT_BYTES)).cast("Q")
