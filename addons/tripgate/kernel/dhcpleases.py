"""The lease file of dnsmasq, read when it has changed."""

import os
from pathlib import Path

from tripgate.core.address import IPAddress
from tripgate.core.leasefile import FILE_MOST, DhcpLease, parse_leases


class LeaseFile:
    """Look once a second, and when dnsmasq logs a DHCPACK: it is read only when it is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> dict[IPAddress, DhcpLease] | None:
        """The leases where the file is another than last time, else ``None``.

        A file that is not there holds none. ``OSError``: it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                now = (status.st_ino, status.st_size, status.st_mtime_ns)
                if now == self._seen:
                    return None
                text = file.read(FILE_MOST).decode("ascii", "replace")
        except FileNotFoundError:
            now, text = (0, 0, 0), ""
            if now == self._seen:
                return None
        self._seen = now
        return parse_leases(text)
