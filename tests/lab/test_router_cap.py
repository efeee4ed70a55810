"""A cap cuts its own device, in every protocol, and no other."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab, device4, server4, server6, wait_until
from tests.lab.product import Product, curl, product, web
from tests.lab.traffic import UDP4, UDP6, udp_echo, udp_socket
from tripgate.core.model import PACKET

CAP = 20_000_000
OVERSHOOT_MOST = 262_144
FLOWS = 8
DATAGRAM = 1172
BURST = 40
SO_RCVBUFFORCE = 33
FAMILIES = pytest.mark.parametrize("server", [server4(1), server6(1)], ids=["v4", "v6"])
AFTER_S = 1.0
"""A reading, a settlement and a grant later: what could still pass would have."""


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    with product(lab, tmp_path) as made:
        made.admit(1, 2)
        yield made


def _cap(gateway: Product, volume: int) -> None:
    gateway.run("cap", "set", "phone-1", f"{volume}B/day")


def _wait_for_cut(gateway: Product) -> None:
    wait_until(lambda: gateway.json("cap", "list")[0]["reached"], "the cap is reached")


def _use_up(lab: Lab, gateway: Product) -> None:
    """Device 1 downloads until it is cut."""
    _cap(gateway, CAP)
    assert curl(lab, 1, f"http://{server4(1)}/90000000").returncode != 0
    _wait_for_cut(gateway)


@FAMILIES
def test_downloads_are_cut_within_the_bound(lab: Lab, gateway: Product, server: str) -> None:
    lab.rate(lab.server, "eth0", "100mbit")
    before, at = gateway.rest()["phone-1"], lab.truth(server)
    _cap(gateway, CAP)
    host = f"[{server}]" if ":" in server else server
    argv = ["curl", "-sfgo", "/dev/null", f"http://{host}/90000000"]
    jobs = [lab.spawn(lab.device(1), argv) for _ in range(FLOWS)]
    assert all(job.wait(30) for job in jobs)
    _wait_for_cut(gateway)
    used = gateway.rest()["phone-1"]
    assert used == before + lab.truth(server) - at
    print("OVERSHOOT", used.total - CAP)
    assert used.total - CAP <= OVERSHOOT_MOST


@FAMILIES
def test_a_udp_download_is_cut_within_the_bound(lab: Lab, gateway: Product, server: str) -> None:
    lab.rate(lab.server, "eth0", "100mbit")
    before = gateway.rest()["phone-1"].total
    _cap(gateway, CAP)
    with _udp_download(lab, server) as moved:
        _wait_for_cut(gateway)
        at = moved.total
        time.sleep(AFTER_S)
    assert moved.total == at
    print("UDP DELIVERED", before + at)
    assert before + at - CAP <= OVERSHOOT_MOST


@dataclass
class Moved:
    """Bytes of L3 that a device has sent and got."""

    total: int = 0


def _greet(client: socket.socket, source: socket.socket, address: str) -> Any:
    """The device says hello until it is heard: a packet may be lost while its lease is renewed."""
    source.settimeout(0.5)
    for _ in range(10):
        client.sendto(b"go", (address, 7))
        with contextlib.suppress(TimeoutError):
            return source.recvfrom(100)[1]
    raise AssertionError("no packet of the device arrives")


@contextlib.contextmanager
def _udp_download(lab: Lab, address: str) -> Iterator[Moved]:
    """Device 1 is sent all that the line takes, got or not, until this ends."""
    header, mine = (UDP6, "::") if ":" in address else (UDP4, device4(1))
    moved, over = Moved(2 + header), threading.Event()
    source = udp_socket(lab, lab.server, address, 7)
    with source, udp_socket(lab, lab.device(1), mine) as client:
        client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        peer = _greet(client, source, address)
        client.setblocking(False)
        source.setblocking(False)

        def pump() -> None:
            while not over.wait(0.001):
                with contextlib.suppress(BlockingIOError):
                    for _ in range(BURST):
                        source.sendto(bytes(DATAGRAM), peer)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        moved.total += len(client.recv(2000)) + header

        thread = threading.Thread(target=pump, daemon=True)
        thread.start()
        try:
            yield moved
        finally:
            over.set()
            thread.join()


def _use_up_the_rest(lab: Lab) -> None:
    """Less than a full packet is left, for small ones: take it with the smallest."""
    with udp_socket(lab, lab.device(1), device4(1)) as client:
        for _ in range(2 * PACKET // UDP4):
            client.sendto(b"x", (server4(1), 7))


def test_nothing_of_a_capped_device_passes(lab: Lab, gateway: Product) -> None:
    _use_up(lab, gateway)
    _use_up_the_rest(lab)
    gateway.rest()
    for server, mine, host in (
        (server4(1), device4(1), server4(1)),
        (server6(1), "::", f"[{server6(1)}]"),
    ):
        at = lab.truth(server)
        with udp_echo(lab, server), udp_socket(lab, lab.device(1), mine) as client:
            for _ in range(5):
                client.sendto(bytes(100), (server, 7))
            assert not gateway.reaches(1, server)
            assert curl(lab, 1, f"http://{host}/10").stdout.startswith("511")
        assert lab.truth(server) == at


def test_another_device_goes_on(lab: Lab, gateway: Product) -> None:
    _use_up(lab, gateway)
    assert gateway.reaches(2)
    assert curl(lab, 2, f"http://{server4(2)}/1000").stdout == "200 1000"


def test_a_raised_cap_lets_through_and_disconnects_nobody(lab: Lab, gateway: Product) -> None:
    _use_up(lab, gateway)
    lab.rate(lab.server, "eth0", "20mbit")
    argv = ["curl", "-s", "-f", "-o", "/dev/null", f"http://{server4(2)}/10000000"]
    other = lab.spawn(lab.device(2), argv)
    _cap(gateway, 2 * CAP)
    wait_until(lambda: gateway.reaches(1), "a ping", 1.5)
    assert curl(lab, 1, f"http://{server4(1)}/1000").stdout == "200 1000"
    assert other.wait(30) == 0
