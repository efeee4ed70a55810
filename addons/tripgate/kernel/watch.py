"""Hears when somebody changes nftables: the kernel tells every listener of a netlink group.

Rule: a message says that something changed, not what. Whoever is called looks for himself, a moment
later and once for many messages; our own transactions are among them.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_GROUP_NFTABLES = 7  # NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h)
_MESSAGE_MOST = 65536
SETTLE_S = 0.1


class RulesWatch:
    """Calls ``changed`` after changes. Raises ``OSError`` where it cannot listen."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._heard)

    def _heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                while self._socket.recv(_MESSAGE_MOST):
                    pass
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    raise
                # ENOBUFS: messages were lost, which is news enough
        if self._due is None:
            self._due = self._loop.call_later(SETTLE_S, self._tell)

    def _tell(self) -> None:
        self._due = None
        self._changed()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._due is not None:
            self._due.cancel()
