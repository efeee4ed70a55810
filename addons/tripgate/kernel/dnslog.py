"""dnsmasq's log as the gateway reads it: names for flows, and a hint that a lease was given.

Hand :meth:`DnsLog.line` to the resolver's :class:`tripgate.kernel.children.Child`.
"""

import time
from collections.abc import Callable

from tripgate.core.address import IPAddress
from tripgate.core.dnsnames import DnsNames


class DnsLog:
    """``leased`` is called when dnsmasq says that it gave or took back a lease."""

    def __init__(
        self, leased: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._names = DnsNames()
        self._leased = leased
        self._clock = clock

    def line(self, text: str) -> None:
        """One line of the log."""
        if text.startswith("dnsmasq-dhcp"):
            if "DHCPACK(" in text or "DHCPRELEASE(" in text:
                self._leased()
        else:
            self._names.line(text, self._clock())

    def name(self, client: IPAddress, address: IPAddress) -> str | None:
        """The name under which ``client`` got to know ``address``."""
        return self._names.name(client, address, self._clock())

    def forget(self, client: IPAddress) -> None:
        """``client``'s address belongs to another device now."""
        self._names.forget(client)
