"""A thread enters a network namespace and leaves it again (``setns(2)``)."""

import ctypes
import os
from pathlib import Path

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace: str) -> int:
    """This thread goes into ``namespace``; returns what :func:`leave` needs."""
    before = os.open(f"/proc/self/task/{_gettid()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(Path("/run/netns") / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(there)
    except BaseException:
        os.close(before)
        raise
    finally:
        os.close(there)
    return before


def leave(before: int) -> None:
    """Back to where :func:`enter` was called."""
    try:
        _setns(before)
    finally:
        os.close(before)


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _gettid() -> int:
    return int(_libc.gettid())
