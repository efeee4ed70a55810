"""A cap cuts its own device, in every protocol, and no other."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, device4, server4, server6, wait_until
from tests.lab.product import Product, curl, product, web
from tests.lab.traffic import udp_echo, udp_socket

CAP = 20_000_000
OVERSHOOT_MOST = 262_144


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    with product(lab, tmp_path) as made:
        made.admit(1, 2)
        made.rest()
        yield made


def _cap(gateway: Product, volume: int) -> None:
    gateway.run("cap", "set", "phone-1", f"{volume}B/day")


def _reached(gateway: Product) -> bool:
    return bool(gateway.json("cap", "list")[0]["reached"])


def _use_up(lab: Lab, gateway: Product) -> None:
    """Device 1 downloads until it is cut."""
    _cap(gateway, CAP)
    done = curl(lab, 1, f"http://{server4(1)}/90000000")
    assert done.returncode != 0
    wait_until(lambda: _reached(gateway), "the cap is reached")


@pytest.mark.parametrize("address", [server4(1), server6(1)])
def test_a_download_is_cut_within_the_bound(lab: Lab, gateway: Product, address: str) -> None:
    lab.rate(lab.carrier, "up0", "100mbit")
    before = gateway.counted(1).total + lab.truth(address).total * 0
    at = lab.truth(address)
    _cap(gateway, CAP)
    host = f"[{address}]" if ":" in address else address
    jobs = [
        lab.spawn(lab.device(1), ["curl", "-s", "-g", "-o", "/dev/null", f"http://{host}/90000000"])
        for _ in range(8)
    ]
    assert all(job.wait(30) != 0 for job in jobs)
    time.sleep(3)
    print(
        gateway.json("cap", "list"),
        before,
        (lab.truth(address) - at).total,
        gateway.json("usage", "--by", "device"),
    )
    print(gateway.said()[-1500:])
    wait_until(lambda: _reached(gateway), "the cap is reached")
    crossed = (lab.truth(address) - at).total
    print("OVERSHOOT", before + crossed - CAP)
    assert before + crossed - CAP <= OVERSHOOT_MOST
    assert gateway.rest()["phone-1"].total == before + crossed


def test_nothing_of_a_capped_device_passes(lab: Lab, gateway: Product) -> None:
    _use_up(lab, gateway)
    at = lab.truth(server4(1))
    with udp_echo(lab, server4(1)) as echo, udp_socket(lab, lab.device(1), device4(1)) as client:
        for _ in range(5):
            client.sendto(bytes(100), (server4(1), 7))
        assert not gateway.reaches(1, server4(1))
        assert curl(lab, 1, f"http://{server4(1)}/10").stdout.startswith("511")
    assert (echo.received, lab.truth(server4(1)) - at) == (0, lab.truth("192.0.2.1"))


def test_another_device_goes_on(lab: Lab, gateway: Product) -> None:
    _use_up(lab, gateway)
    assert gateway.reaches(2)
    assert curl(lab, 2, f"http://{server4(2)}/1000").stdout == "200 1000"


def test_a_udp_download_is_cut_within_the_bound(lab: Lab, gateway: Product) -> None:
    _udp_flood(lab, gateway)


def _udp_flood(lab: Lab, gateway: Product) -> None:
    lab.rate(lab.carrier, "up0", "100mbit")
    before = gateway.counted(1).total
    _cap(gateway, CAP)
    address = server4(1)
    lab.spawn(lab.server, ["iperf3", "-s", "-B", address])
    got, at = 0, lab.truth(address)
    source = udp_socket(lab, lab.server, address, 7)
    with source, udp_socket(lab, lab.device(1), device4(1)) as client:
        client.sendto(b"go", (address, 7))
        source.settimeout(5)
        _, peer = source.recvfrom(100)
        client.settimeout(0.0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE, 1 << 24)
        until = time.monotonic() + 4
        while time.monotonic() < until:
            for _ in range(10):
                source.sendto(bytes(1172), peer)
            time.sleep(0.001)
            while True:
                try:
                    got += len(client.recv(2000)) + 28
                except BlockingIOError:
                    break
    del at
    print("UDP OVERSHOOT", before + got + 30 - CAP)
    assert 0.9 * CAP < before + got + 30 <= CAP + OVERSHOOT_MOST


def test_a_raised_cap_lets_through_at_once(lab: Lab, gateway: Product) -> None:
    _use_up(lab, gateway)
    _cap(gateway, 2 * CAP)
    wait_until(lambda: gateway.reaches(1), "a ping", 1.5)
    assert curl(lab, 1, f"http://{server4(1)}/1000").stdout == "200 1000"
