"""Sees when links, addresses, routes or routing rules change: rtnetlink(7)'s own events.

Rules
1. What changed is not told, only that something did: a reason to look.
2. Lost events (a full buffer) count as a change.
3. Not everything has an event (a sysctl, the most segments of a packet): whoever cares looks now
   and then all the same.
"""

import socket

_ROUTE = socket.NETLINK_ROUTE
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUPS = {
    "link": 1, "address of IPv4": 5, "route of IPv4": 7, "rule of IPv4": 8,
    "address of IPv6": 9, "route of IPv6": 11, "rule of IPv6": 19,
}  # fmt: skip
_READ = 1 << 16
_READS_MOST = 64


class LinkWatch:
    """One subscription, in the network namespace of the thread that makes it. ``OSError``."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, _ROUTE)
        try:
            self._socket.bind((0, 0))
            for group in _GROUPS.values():
                self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def changed(self) -> bool:
        """Take what has been told since the last time; whether that was anything."""
        changed = False
        for _ in range(_READS_MOST):
            try:
                self._socket.recv(_READ)
            except BlockingIOError:
                return changed
            except OSError:  # ENOBUFS: some were lost
                pass
            changed = True
        return True
