"""What was posted of each slot's counters, kept where a crash of the process leaves it.

The kernel's counters survive the process. So does this page (a mapped file; after kill -9 the page
cache still has it), and the next run posts exactly what came since.

Rules
1. One record of three 64-bit words a slot: total up and down, forwarded.
2. The page belongs to one *generation* of the counters (a boot, and a table in it): of another
   generation it holds zeros.
3. A record is set after its bytes were posted. A crash in between posts them twice, never not.
"""

import mmap
import os
from hashlib import blake2b
from pathlib import Path

from tripgate.core import marks
from tripgate.core.counts import SlotCount, Volume

_WORDS = 3
_HEAD = 2
_SIZE = 8 * (_HEAD + _WORDS * (marks.LAST + 1))


class PostedPage:
    """The page at ``path``. ``generation`` names the counters. Raises ``OSError``."""

    def __init__(self, path: Path, generation: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
            self._words = memoryview(mmap.mmap(fd, _SIZE)).cast("Q")
        finally:
            os.close(fd)
        self.begin(generation)

    def begin(self, generation: str) -> None:
        """The counters are of this generation now."""
        digest = blake2b(generation.encode(), digest_size=16).digest()
        head = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
        if (self._words[0], self._words[1]) != head:
            self._words[:] = memoryview(bytes(_SIZE)).cast("Q")
            self._words[0], self._words[1] = head

    def get(self, slot: int) -> SlotCount:
        """What was posted of the slot, cumulative."""
        at = _HEAD + slot * _WORDS
        up, down, forwarded = self._words[at : at + _WORDS]
        return SlotCount(Volume(up, down), forwarded)

    def set(self, slot: int, count: SlotCount) -> None:
        at = _HEAD + slot * _WORDS
        self._words[at] = count.total.up
        self._words[at + 1] = count.total.down
        self._words[at + 2] = count.forwarded
