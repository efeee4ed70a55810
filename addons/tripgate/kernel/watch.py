"""Sees when another program changes nftables: the kernel's own events (``NFNLGRP_NFTABLES``).

Rules
1. The kernel tells a transaction's changes, then its end (``NEWGEN``) with the task that made it.
   Tasks of this process are ours; in a container the ids do not match, and ours look like others':
   so what is seen is a reason to compare (``KernelTable.intact``), never to load at once.
2. Lost events (a full buffer) count as a change.
3. It holds one non-blocking socket, for ``loop.add_reader``; nothing is polled.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_NETLINK_NETFILTER = 12
_GROUP_NFTABLES = 7
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_SUBSYSTEM, _NEWGEN = 10, 15
_GEN_PROC_PID = 2
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_FAMILY_HEADER = 4
_BUFFER = 1 << 20
_READ = 1 << 16
_READS_MOST = 64


class Watch:
    """One subscription, in the network namespace of the thread that makes it. ``OSError``."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER
        )
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def changed(self) -> bool:
        """Take what has been told so far; whether another program changed anything."""
        changed = False
        for _ in range(_READS_MOST):
            try:
                data, sender = self._socket.recvfrom(_READ)
            except BlockingIOError:
                return changed
            except OSError:  # ENOBUFS: some were lost
                changed = True
                continue
            if sender[0] == 0:  # the kernel, and nobody else
                changed = any(not _ours(task) for task in transactions(data)) or changed
        return True


def transactions(data: bytes) -> Iterator[int]:
    """The tasks whose transactions ended in these messages; 0 where it is not told."""
    while len(data) >= _MESSAGE.size:
        length, kind, *_ = _MESSAGE.unpack_from(data)
        if not _MESSAGE.size <= length <= len(data):
            return
        if kind == _SUBSYSTEM << 8 | _NEWGEN:
            yield _task(data[_MESSAGE.size + _FAMILY_HEADER : length])
        data = data[_aligned(length) :]


def _task(attributes: bytes) -> int:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if not _ATTRIBUTE.size <= length <= len(attributes):
            break
        if kind == _GEN_PROC_PID and length == _ATTRIBUTE.size + 4:
            return int.from_bytes(attributes[_ATTRIBUTE.size : length], "big")
        attributes = attributes[_aligned(length) :]
    return 0


def _ours(task: int) -> bool:
    if task == os.getpid():
        return True
    with contextlib.suppress(OSError):
        return task > 0 and Path(f"/proc/self/task/{task}").exists()
    return False


def _aligned(length: int) -> int:
    return length + 3 & ~3
