"""Which way a packet of a device goes: relay, resolver, forward, or nowhere."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.lab import (
    LAN4,
    LAN6,
    WAN4,
    WAN6,
    Lab,
    device4,
    device6,
    device_mac,
    server4,
    server6,
)
from tests.lab.router import SPEC, Router, router, slot
from tests.lab.traffic import udp_echo, udp_socket
from tripgate.core.nftchains import DNS_A_SECOND, DNS_BURST
from tripgate.core.routerspec import RouterSpec
from tripgate.doors import Doors
from tripgate.kernel import routes
from tripgate.settings import Settings
from tripgate.statefolder import StateFolder

LONG_HEADER = b"\xc0" + bytes(1199)  # QUIC v1 Initial, RFC 9000 §17.2
SHORT_HEADER = b"\x40" + bytes(99)
WIREGUARD = b"\x01\x00\x00\x00" + bytes(144)
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>
FAMILIES = pytest.mark.parametrize(
    ("device", "server"), [(device4, server4), (device6, server6)], ids=["v4", "v6"]
)
Address = Callable[[int], str]


@contextmanager
def gateway_with(lab: Lab, spec: RouterSpec = SPEC) -> Iterator[Router]:
    with router(lab, spec) as made:
        with lab.inside(lab.gateway):
            routes.apply(spec.lan)
        yield made


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Router]:
    with gateway_with(lab) as made:
        yield made


def _listener(lab: Lab, namespace: str, address: str, port: int) -> socket.socket:
    """A TCP listener that takes connections to any address (TPROXY)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(namespace):
        made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    else:
        made.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    made.bind((address, port))
    made.listen()
    made.settimeout(5)
    return made


def _connect(lab: Lab, namespace: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(namespace):
        made = socket.socket(family)
    made.settimeout(2)
    try:
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


def _reachable(lab: Lab, namespace: str, address: str, port: int) -> bool:
    with suppress(OSError):
        _connect(lab, namespace, address, port).close()
        return True
    return False


def _answered(lab: Lab, device: int, server: str, data: bytes, port: int = 443) -> bool:
    """Whether the datagram comes back; a rejection is told at once."""
    here = device6(device) if ":" in server else device4(device)
    with udp_socket(lab, lab.device(device), here) as client:
        client.connect((server, port))
        client.settimeout(1)
        with suppress(OSError):
            client.send(data)
            return client.recv(2000) == data
    return False


@FAMILIES
@pytest.mark.parametrize("port", [22, 80, 443, 8080, 65535])
def test_tcp_to_any_port_comes_to_the_relay(
    lab: Lab, gateway: Router, device: Address, server: Address, port: int
) -> None:
    gateway.open(1)
    wildcard = "::" if ":" in server(1) else "0.0.0.0"
    relay = _listener(lab, lab.gateway, wildcard, SPEC.tproxy)
    with relay, _connect(lab, lab.device(1), server(1), port):
        taken, peer = relay.accept()
        with taken:
            ends = (peer[0], taken.getsockname()[:2])
    assert ends == (device(1), (server(1), port))


@FAMILIES
def test_tcp_without_a_relay_is_reset_and_not_forwarded(
    lab: Lab, gateway: Router, device: Address, server: Address
) -> None:
    gateway.open(1)
    with pytest.raises(ConnectionRefusedError):
        _connect(lab, lab.device(1), server(1), 80)
    assert lab.truth(server(1)).total == 0


@FAMILIES
def test_quics_long_headers_are_rejected_at_once(
    lab: Lab, gateway: Router, device: Address, server: Address
) -> None:
    gateway.open(1)
    with udp_echo(lab, server(1), 443), udp_socket(lab, lab.device(1), device(1)) as client:
        client.connect((server(1), 443))
        client.send(LONG_HEADER)
        with pytest.raises(ConnectionRefusedError):
            client.recv(2000)
    assert lab.truth(server(1)).total == 0


@FAMILIES
@pytest.mark.parametrize("data", [SHORT_HEADER, WIREGUARD], ids=["short header", "WireGuard"])
def test_other_udp_on_443_passes(
    lab: Lab, gateway: Router, device: Address, server: Address, data: bytes
) -> None:
    gateway.open(1)
    with udp_echo(lab, server(1), 443):
        assert _answered(lab, 1, server(1), data)


def test_quic_may_be_counted_instead(lab: Lab) -> None:
    with gateway_with(lab, replace(SPEC, quic="count")) as gateway:
        gateway.open(1)
        with udp_echo(lab, server4(1), 443):
            assert _answered(lab, 1, server4(1), LONG_HEADER)


@FAMILIES
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_dns_to_anyone_goes_to_the_devices_own_resolver(
    lab: Lab, gateway: Router, device: Address, server: Address, is_open: bool
) -> None:
    if is_open:
        gateway.open(1)
    port = SPEC.dns_open if is_open else SPEC.dns_closed
    wildcard = "::" if ":" in server(1) else "0.0.0.0"
    resolver = udp_socket(lab, lab.gateway, wildcard, port)
    with resolver, udp_socket(lab, lab.device(1), device(1)) as client:
        client.sendto(b"query", (server(1), 53))
        assert resolver.recv(100) == b"query"


def test_a_closed_device_does_not_reach_the_open_resolver(lab: Lab, gateway: Router) -> None:
    with udp_echo_on_gateway(lab, SPEC.dns_open):
        assert not _answered(lab, 1, f"{LAN4}.1", b"query", SPEC.dns_open)


def test_an_open_device_does(lab: Lab, gateway: Router) -> None:
    gateway.open(1)
    with udp_echo_on_gateway(lab, SPEC.dns_open):
        assert _answered(lab, 1, f"{LAN4}.1", b"query", SPEC.dns_open)


@contextmanager
def udp_echo_on_gateway(lab: Lab, port: int) -> Iterator[None]:
    with udp_echo(lab, f"{LAN4}.1", port, namespace=lab.gateway):
        yield


@pytest.mark.parametrize("address", [f"{LAN4}.1", f"{LAN6}:1"], ids=["v4", "v6"])
def test_of_the_gateway_a_device_reaches_the_portal_only(
    lab: Lab, gateway: Router, address: str
) -> None:
    ports = (22, 80, 6379, 8088, 9090, 9108)
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(_listener(lab, lab.gateway, address, port))
        reached = [port for port in ports if _reachable(lab, lab.device(1), address, port)]
    assert reached == [22, 80, 8088]  # SSH until there is an owner


@pytest.mark.parametrize(
    ("policy", "owner", "reached"),
    [("lan", False, True), ("owner", False, False), ("owner", True, True), ("off", True, False)],
)
def test_ssh_by_policy(lab: Lab, policy: str, owner: bool, reached: bool) -> None:
    spec = replace(SPEC, ssh=policy)
    with gateway_with(lab, spec) as gateway, _listener(lab, lab.gateway, f"{LAN4}.1", 22):
        gateway.table.open_device(slot(1), [device_mac(1)], owner=owner)
        assert _reachable(lab, lab.device(1), f"{LAN4}.1", 22) is reached


def test_before_the_book_is_known_ssh_is_shut(lab: Lab, tmp_path: Path) -> None:
    settings = Settings(mode="router", lan="lan0", uplink="wan0", state=tmp_path / "state")
    folder = StateFolder(settings.state)
    folder.create()
    doors = Doors(settings, folder)
    with lab.inside(lab.gateway):
        doors._make("gateway")
        try:
            with _listener(lab, lab.gateway, f"{LAN4}.1", 22):
                assert not _reachable(lab, lab.device(1), f"{LAN4}.1", 22)
                doors.set_devices({}, owned=False)
                assert _reachable(lab, lab.device(1), f"{LAN4}.1", 22)
        finally:
            doors._remove()


@pytest.mark.parametrize(("address", "wan"), [(WAN4 + ".", "2"), (WAN6 + ":", "2")])
def test_from_the_uplink_nothing_is_reached(
    lab: Lab, gateway: Router, address: str, wan: str
) -> None:
    with _listener(lab, lab.gateway, address + wan, 8088):
        assert not _reachable(lab, lab.carrier, address + wan, 8088)


def test_a_device_cannot_use_the_uplinks_address_to_get_around(lab: Lab, gateway: Router) -> None:
    with _listener(lab, lab.gateway, f"{WAN4}.2", 9108):
        assert not _reachable(lab, lab.device(1), f"{WAN4}.2", 9108)


PRIVATE = ("10.99.0.1", "172.16.9.1", "192.168.9.1", "169.254.169.254", "fd00:99::1")
OWN = (f"{WAN4}.1", f"{WAN6}:1")


def _with_own(lab: Lab, login: int | None = None) -> RouterSpec:
    """The carrier has private addresses too, and routes lead to them."""
    for address in PRIVATE:
        family, via = ("-6", f"{WAN6}:1") if ":" in address else ("-4", f"{WAN4}.1")
        lab._ip(lab.carrier, f"{family} addr add {address} dev lo")
        lab._ip(lab.gateway, f"{family} route add {address} via {via}")
    return replace(SPEC, own=(f"{WAN4}.0/24", f"{WAN6}:/64"), login=login)


@pytest.mark.parametrize("address", [*PRIVATE, *OWN])
def test_a_private_or_own_network_is_refused_to_forwarded_packets(lab: Lab, address: str) -> None:
    with gateway_with(lab, _with_own(lab)) as gateway:
        gateway.open(1)
        with udp_echo(lab, address, 443, namespace=lab.carrier):
            assert not _answered(lab, 1, address, SHORT_HEADER)


@pytest.mark.parametrize("address", ["10.99.0.1", "fd00:99::1", *OWN])
def test_the_device_that_logs_in_reaches_them(lab: Lab, address: str) -> None:
    with gateway_with(lab, _with_own(lab, slot(1))) as gateway:
        gateway.open(1)
        gateway.open(2)
        with udp_echo(lab, address, 443, namespace=lab.carrier):
            assert _answered(lab, 1, address, SHORT_HEADER)
            assert not _answered(lab, 2, address, SHORT_HEADER)


def test_without_ipv6_a_device_has_none(lab: Lab) -> None:
    with gateway_with(lab, replace(SPEC, v6=False)) as gateway:
        gateway.open(1)
        with udp_echo(lab, server6(1), 443):
            assert not _answered(lab, 1, server6(1), SHORT_HEADER)
    assert lab.truth(server6(1)).total == 0


def test_without_ipv6_the_relay_gets_none(lab: Lab) -> None:
    with gateway_with(lab, replace(SPEC, v6=False)) as gateway:
        gateway.open(1)
        with _listener(lab, lab.gateway, "::", SPEC.tproxy):
            assert not _reachable(lab, lab.device(1), server6(1), 80)


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_a_flood_of_questions_is_cut_to_its_devices_own_limit(
    lab: Lab, gateway: Router, is_open: bool
) -> None:
    if is_open:
        gateway.open(1)
    port = SPEC.dns_open if is_open else SPEC.dns_closed
    asked, flood = 0, 10 * DNS_BURST
    with (
        udp_socket(lab, lab.gateway, "0.0.0.0", port) as resolver,
        udp_socket(lab, lab.device(1), device4(1)) as flooding,
        udp_socket(lab, lab.device(2), device4(2)) as other,
    ):
        resolver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        began = time.monotonic()
        for _ in range(flood):
            flooding.sendto(b"query", (f"{LAN4}.1", 53))
        lasted = time.monotonic() - began
        if is_open:
            gateway.open(2)
        other.sendto(b"the other's", (f"{LAN4}.1", 53))
        while resolver.recv(100) != b"the other's":
            asked += 1
    assert DNS_BURST <= asked <= DNS_BURST + DNS_A_SECOND * (lasted + 1)
