"""The kernel's counters against the carrier's, to the byte, with real packets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.lab import WAN4, WAN6, Lab, device4, device6, server4, server6
from tests.lab.router import Router, router, slot
from tests.lab.traffic import UDP4, udp_echo, udp_socket
from tests.lab.truth import Bytes
from tripgate.core import marks
from tripgate.core.counts import NOTHING
from tripgate.core.kernelreading import Count
from tripgate.kernel.counters import KernelCounters
from tripgate.kernel.posted import PostedPage


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Router]:
    with router(lab) as made:
        yield made


def _counted(gateway: Router, of: int) -> Bytes:
    count = gateway.look().table.slots.get(of, Count())
    return Bytes(count.up, count.down)


def _ping(lab: Lab, device: int, address: str) -> None:
    argv = ["ping", "-q", "-c", "5", "-i", "0.01", "-W", "1", "-s", "700", address]
    lab.run(lab.device(device), argv)


@pytest.mark.parametrize("address", [server4(1), server6(1)])
def test_icmp_is_counted_as_the_carrier_does(lab: Lab, gateway: Router, address: str) -> None:
    gateway.open(1)
    _ping(lab, 1, address)
    truth = lab.truth(address)
    assert truth.up > 0
    assert _counted(gateway, slot(1)) == truth


@pytest.mark.parametrize(("device", "address"), [(device4, server4), (device6, server6)])
def test_udp_is_counted_as_the_carrier_does(
    lab: Lab, gateway: Router, device: Callable[[int], str], address: Callable[[int], str]
) -> None:
    gateway.open(1)
    here, there = device(1), address(1)
    with udp_echo(lab, there, times=3), udp_socket(lab, lab.device(1), here) as client:
        for size in (1, 500, 1400):
            client.sendto(bytes(size), (there, 7))
            for _ in range(3):
                client.recv(2000)
    truth = lab.truth(there)
    assert truth.down == 3 * truth.up > 0
    assert _counted(gateway, slot(1)) == truth


@pytest.mark.parametrize("address", [server4(1), server6(1)])
def test_a_relays_tcp_is_counted_as_the_carrier_does(
    lab: Lab, gateway: Router, address: str
) -> None:
    """A marked socket of the gateway, SYN to FIN, retransmissions included."""
    lab.rate(lab.server, "eth0", "20mbit")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(lab.server):
        listening = socket.create_server((address, 8000), family=family)
    with lab.inside(lab.gateway):
        upstream = socket.socket(family)
    upstream.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, slot(1))
    with listening, upstream:
        upstream.connect((address, 8000))
        origin, _ = listening.accept()
        thread = threading.Thread(target=_serve, args=(origin, bytes(2_000_000)))
        thread.start()
        received = sum(iter(lambda: len(upstream.recv(65536)), 0))
        upstream.shutdown(socket.SHUT_WR)
        thread.join()
    assert received == 2_000_000
    assert _counted(gateway, slot(1)) == lab.truth(address)


def _serve(origin: socket.socket, data: bytes) -> None:
    with origin:
        origin.sendall(data)
        origin.shutdown(socket.SHUT_WR)
        origin.recv(1)


def test_devices_are_counted_apart(lab: Lab, gateway: Router) -> None:
    for device in (1, 2):
        gateway.open(device)
    _ping(lab, 1, server4(1))
    _ping(lab, 2, server6(2))
    counted = [_counted(gateway, slot(device)) for device in (1, 2)]
    assert counted == [lab.truth(server4(1)), lab.truth(server6(2))]


def test_the_gateways_own_traffic_is_its_own(lab: Lab, gateway: Router) -> None:
    lab.sysctl(lab.gateway, "ipv6/conf/wan0/disable_ipv6", "1")  # it solicits by itself
    before = _counted(gateway, marks.GATEWAY)
    argv = ["ping", "-q", "-c", "3", "-i", "0.01", "-s", "700", server4(1)]
    lab.run(lab.gateway, argv)
    truth = lab.truth(server4(1))
    assert truth.total > 0
    assert _counted(gateway, marks.GATEWAY) - before == truth


def test_what_nobody_asked_for_is_unattributed(lab: Lab, gateway: Router) -> None:
    with udp_socket(lab, lab.carrier, f"{WAN4}.1") as carrier:
        carrier.sendto(bytes(100), (f"{WAN4}.2", 9999))
    assert _counted(gateway, marks.NOBODY) == Bytes(0, 100 + UDP4)


def test_finding_the_uplinks_neighbour_is_the_gateways_own(lab: Lab, gateway: Router) -> None:
    """Neighbour discovery has no conntrack entry."""
    for namespace, link in ((lab.gateway, "wan0"), (lab.carrier, "up0")):
        lab.run(namespace, ["ip", "-6", "neigh", "flush", "dev", link])
    lab.run(lab.gateway, ["ping", "-q", "-c", "1", f"{WAN6}:1"])
    echo, solicit = 104, 72
    counted = _counted(gateway, marks.GATEWAY)
    assert (counted.up >= echo + solicit, counted.down >= echo + solicit) == (True, True)
    assert _counted(gateway, marks.NOBODY) == Bytes()


def test_a_dhcp_answer_is_the_gateways_own(lab: Lab, gateway: Router) -> None:
    with udp_socket(lab, lab.carrier, f"{WAN4}.1", 67) as carrier:
        carrier.sendto(bytes(300), (f"{WAN4}.2", 68))
    assert _counted(gateway, marks.GATEWAY).down >= 300 + UDP4
    assert _counted(gateway, marks.NOBODY) == Bytes()


def _at_rest(lab: Lab, gateway: Router) -> tuple[Bytes, Bytes, Bytes]:
    """All slots together, the gateway's interface, and the carrier's: of one moment, in which
    no multicast report went by."""
    while True:
        wire = lab.wire()
        look = gateway.look()
        if lab.wire() == wire:
            counts = look.table.slots.values()
            slots = Bytes(sum(c.up for c in counts), sum(c.down for c in counts))
            link = look.uplinks["wan0"]
            return slots, Bytes(link.up, link.down), wire


def test_all_slots_together_are_the_interface(lab: Lab, gateway: Router) -> None:
    before = _at_rest(lab, gateway)
    gateway.open(1)
    _ping(lab, 1, server4(1))
    _ping(lab, 1, server6(1))
    lab.run(lab.gateway, ["ping", "-q", "-c", "1", server4(2)])
    slots, link, wire = (b - a for a, b in zip(before, _at_rest(lab, gateway), strict=True))
    assert (slots, link) == (wire, wire)


FOREIGN = 51820
"""WireGuard's own, which wg-quick restores from conntrack marks."""


def test_another_tools_mark_is_nobodys_and_stops_no_reading(
    lab: Lab, gateway: Router, tmp_path: Path
) -> None:
    gateway.nft(
        "add table inet other\n"
        "add chain inet other out { type route hook output priority -100; }\n"
        f"add rule inet other out udp dport 9999 ct mark set {FOREIGN}\n"
    )
    with udp_socket(lab, lab.gateway, f"{WAN4}.2") as sock:
        sock.sendto(bytes(100), (server4(1), 9999))
    assert _counted(gateway, FOREIGN).up == 100 + UDP4
    with lab.inside(lab.gateway):
        reading = KernelCounters(gateway.table).read()
    page = PostedPage(tmp_path / "posted", "boot")
    posted = sum((page.get(one).total for one in reading.slots), NOTHING)
    assert posted == NOTHING
    assert reading.slots[marks.NOBODY].total.up == 100 + UDP4


def test_a_devices_bytes_do_not_leave_by_an_interface_where_nobody_counts(
    lab: Lab, gateway: Router
) -> None:
    lab._link(lab.gateway, "usb0", lab.server, "usb1")
    lab._address(lab.gateway, "usb0", "192.0.2.1/24")
    lab._address(lab.server, "usb1", "192.0.2.2/24")
    with (
        udp_socket(lab, lab.server, "192.0.2.2", 7) as there,
        udp_socket(lab, lab.gateway, "192.0.2.1") as own,
        udp_socket(lab, lab.gateway, "192.0.2.1") as relayed,
    ):
        relayed.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, slot(1))
        with contextlib.suppress(PermissionError):
            relayed.sendto(b"a device's", ("192.0.2.2", 7))
        own.sendto(b"the box's own", ("192.0.2.2", 7))
        assert there.recv(100) == b"the box's own"
