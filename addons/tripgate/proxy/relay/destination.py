"""Where nobody is taken: the answer is kept for a while, connections come in bunches.

Rules
1. The check is :func:`tripgate.core.address.destination_refused`; what it is asked is bounded and
   forgotten after ``KEPT_S``, for the gateway's own addresses change.
"""

import ipaddress
from collections.abc import Callable

from tripgate.core.address import IPAddress, destination_refused, is_private

KEPT = 4096
KEPT_S = 10.0


class Destinations:
    """``own`` says whether an address is the gateway's, or within the subnets of its links."""

    __slots__ = ("_kept", "_own", "_since")

    def __init__(self, own: Callable[[IPAddress], bool]) -> None:
        self._own = own
        self._kept: dict[str, str | None] = {}
        self._since = 0.0

    def portal(self, host: str) -> bool:
        """May it be an uplink's own portal: private, or in a network of a link?"""
        ip = ipaddress.ip_address(host.partition("%")[0])
        return is_private(ip) or (
            self._own(ip) and destination_refused(ip, own=False, local_client=False) is None
        )

    def refused(self, host: str, now: float) -> str | None:
        """Why nobody is taken to ``host``, an address as a socket has it; ``None``: it is fine."""
        if now - self._since > KEPT_S or len(self._kept) >= KEPT:
            self._kept.clear()
            self._since = now
        if host not in self._kept:
            self._kept[host] = self._check(host)
        return self._kept[host]

    def _check(self, host: str) -> str | None:
        try:
            ip = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return "not an address"
        return destination_refused(ip, own=self._own(ip), local_client=False)
