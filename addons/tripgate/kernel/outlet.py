"""What child programs write: lines through a named pipe that outlives the gateway.

Rules
1. The pipe is open for reading and writing and never blocks: without a gateway a child's lines are
   lost once the pipe is full, and it runs on. There is no log file that grows.
2. The next gateway opens the same pipe and reads on.
3. A line is cut at ``LINE_MOST`` bytes, at most ``TURN_MOST`` bytes are read in a turn of the
   loop, and the last ``KEPT`` lines are kept for whoever asks why a child ended.
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

LINE_MOST = 2048
TURN_MOST = 65536
KEPT = 20


class Outlet:
    """Reads the pipe at ``path`` and hands each line to ``line``."""

    def __init__(self, path: Path, line: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.last: deque[str] = deque(maxlen=KEPT)
        self._line = line
        self._rest = b""
        self._fd = -1

    def open(self) -> int:
        """Make the pipe if it is not there, and read it; a child's output. ``OSError``.

        Needs a running loop. The descriptor is ours to close, in :meth:`close`.
        """
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.path, 0o600)
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self.path, flags)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return self._fd

    def close(self) -> None:
        """Stop reading; the pipe stays."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            data = os.read(self._fd, TURN_MOST)
        except BlockingIOError:
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:LINE_MOST]
        for line in lines:
            self._tell(line[:LINE_MOST].decode("ascii", "backslashreplace"))

    def _tell(self, line: str) -> None:
        self.last.append(line)
        if self._line is not None:
            self._line(line)
