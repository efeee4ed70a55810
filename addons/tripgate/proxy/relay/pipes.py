"""Pipes for splice(2), lent for as long as bytes are in them.

Rules
1. A pipe begins with the kernel's 64 KiB and grows when a read has filled it, up to ``SIZE_MAX``:
   most flows never need more, and the kernel limits what all pipes of a user hold. It is full with
   a packet in each of its slots of 4 KiB, that is from a third of its size on.
2. At most ``PIPES`` are lent out: who gets none uses the shared buffer instead.
3. Only an empty pipe comes back.
"""

import contextlib
import fcntl
import os

PIPES = 1024
IDLE = 32
SIZE_MIN = 64 * 1024
SIZE_MAX = 1024 * 1024


class Pipe:
    """Two descriptors and how much they hold at most."""

    __slots__ = ("size", "tail", "top")

    def __init__(self) -> None:
        self.tail, self.top = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.size = SIZE_MIN

    def grow(self) -> None:
        """Four times the size; a kernel that has no more pages to give leaves it as it is."""
        if self.size < SIZE_MAX:
            with contextlib.suppress(OSError):
                self.size = fcntl.fcntl(self.top, fcntl.F_SETPIPE_SZ, 4 * self.size)

    def close(self) -> None:
        os.close(self.tail)
        os.close(self.top)


class Pipes:
    """The pool."""

    __slots__ = ("_idle", "_lent")

    def __init__(self) -> None:
        self._idle: list[Pipe] = []
        self._lent = 0

    def lend(self) -> Pipe | None:
        """An empty pipe; ``None`` when there are no more."""
        if self._lent >= PIPES:
            return None
        try:
            pipe = self._idle.pop() if self._idle else Pipe()
        except OSError:
            return None
        self._lent += 1
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """It is empty again."""
        self._lent -= 1
        if len(self._idle) < IDLE:
            self._idle.append(pipe)
        else:
            pipe.close()

    def lose(self, pipe: Pipe) -> None:
        """Its bytes go nowhere any more."""
        self._lent -= 1
        pipe.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
