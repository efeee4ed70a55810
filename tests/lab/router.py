"""A gateway's kernel side in the lab, as tests use it: a table on ``lan0`` and ``wan0``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.lab import Lab, device_mac
from tripgate.core import marks
from tripgate.core.routerspec import RouterSpec
from tripgate.kernel.table import KernelTable, Look

SPEC = RouterSpec(lan="lan0", uplinks=("wan0",), tproxy=8443, dns_open=5301, dns_closed=5302)
PLENTY = 1 << 40


def slot(device: int) -> int:
    """The slot of device ``device`` in these tests."""
    return marks.FIRST + device - 1


@dataclass
class Router:
    """The table of the lab's gateway."""

    lab: Lab
    table: KernelTable

    def open(self, device: int, forwarded: int = PLENTY) -> None:
        """Device ``device`` is open and may have ``forwarded`` bytes forwarded."""
        self.table.open_device(slot(device), [device_mac(device)])
        self.table.grant(slot(device), forwarded)

    def look(self) -> Look:
        with self.lab.inside(self.lab.gateway):
            return self.table.read()

    def nft(self, text: str) -> str:
        """What another tool says to nftables in the gateway."""
        return self.lab.run(self.lab.gateway, ["nft", "-f", "-"], stdin=text).stdout

    def dump(self) -> str:
        """All there is, counts included."""
        return self.lab.run(self.lab.gateway, ["nft", "list", "ruleset"]).stdout

    def rules(self) -> str:
        """The same without elements and counts."""
        return self.lab.run(self.lab.gateway, ["nft", "-s", "-t", "list", "ruleset"]).stdout


@contextmanager
def router(lab: Lab, spec: RouterSpec = SPEC) -> Iterator[Router]:
    """A router that forwards, with all tables of ``spec`` applied and no device open."""
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lab.sysctl(lab.gateway, name, "1")
    with lab.inside(lab.gateway):
        table = KernelTable()
    try:
        table.apply(spec)
        yield Router(lab, table)
    finally:
        table.nft.close()
