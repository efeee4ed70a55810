"""Three people, five devices, one plan, on the real gateway: what was said is what happens."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.lab import Lab, device4, needs_lab, server4, wait_until
from tests.lab.product import Product, curl, product, web
from tests.lab.traffic import udp_socket

TLSFLOW = Path(__file__).with_name("tlsflow.py")
STEADY, FAST = 443, 8443
PEOPLE = {"ana": (1, 2), "ben": (3, 4), "cleo": (5,)}
CLOUD, VIDEO, CHAT = "p50.icloud-content.com", "r1.googlevideo.com", "chat.signal.org"
MB = 1_000_000


@dataclass
class Trip:
    """The lab, the gateway, and what devices do."""

    lab: Lab
    gateway: Product
    clients: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def flow(
        self, device: int, name: str, port: int = STEADY, seconds: float = 60
    ) -> "subprocess.Popen[str]":
        """A TLS connection that has been opened and is going on."""
        process = self.fetch(device, name, port, seconds)
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        return process

    def fetch(
        self, device: int, name: str, port: int = STEADY, seconds: float = 60
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, str(TLSFLOW), "fetch", name, server4(device), str(port)]
        client = self.lab.spawn(
            self.lab.device(device), [*command, str(seconds)], stdout=subprocess.PIPE
        )
        self.clients.append(client)
        return client

    def end_clients(self) -> None:
        for client in self.clients:
            client.kill()
            client.wait()
        self.clients.clear()
        wait_until(lambda: self.gateway.json("status")["flows"] == 0, "all flows are over")

    def refused(self, device: int, name: str) -> bool:
        """It does not get a single byte."""
        return self.fetch(device, name, seconds=0.5).wait(30) != 0

    def use(self, device: int, volume: int) -> None:
        """Download so much over plain HTTP."""
        curl(self.lab, device, f"http://{server4(device)}/{volume}")

    def cap(self, device: int) -> dict[str, object]:
        caps = self.gateway.json("cap", "list")
        return next(cap for cap in caps if cap["target"] == f"device:phone-{device}")

    def reached(self, device: int) -> bool:
        return bool(self.cap(device)["reached"])


@pytest.fixture(scope="module")
def whole_trip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    needs_lab()
    folder = tmp_path_factory.mktemp("trip")
    with Lab(devices=5, prefix="tgx") as lab:
        _serve_tls(lab, folder)
        web(lab)
        with product(lab, folder) as gateway:
            gateway.admit(*range(1, 6))
            for person, devices in PEOPLE.items():
                gateway.run("person", "add", person)
                for device in devices:
                    gateway.run("device", "approve", f"phone-{device}", "--person", person)
            gateway.run("plan", "set", "--volume", "10GB", "--valid", "30d")
            yield Trip(lab, gateway)


def _serve_tls(lab: Lab, folder: Path) -> None:
    certificate = folder / "server.pem"
    names = ["-subj", "/CN=lab", "-keyout", str(certificate), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", *names], check=True, capture_output=True,
    )  # fmt: skip
    for port, speed in ((STEADY, 100_000), (FAST, 0)):
        command = [sys.executable, str(TLSFLOW), "serve", str(certificate), str(port), str(speed)]
        lab.spawn(lab.server, command)
        lab.wait_tcp(lab.server, port)


@pytest.fixture
def trip(whole_trip: Trip) -> Iterator[Trip]:
    """The trip without any cap or policy."""
    yield whole_trip
    whole_trip.end_clients()
    gateway = whole_trip.gateway
    for policy in gateway.json("policy", "list"):
        gateway.run("policy", "clear", policy["id"])
    for cap in gateway.json("cap", "list"):
        gateway.run("cap", "clear", cap["target"], cap["period"])


# -- policies ----------------------------------------------------------------------------------


def test_pausing_cloud_sync_for_one_person_ends_its_flows_in_a_second_and_no_others(
    trip: Trip,
) -> None:
    paused = [trip.flow(1, CLOUD), trip.flow(2, CLOUD)]
    others = [trip.flow(1, VIDEO), trip.flow(3, CLOUD), trip.flow(4, VIDEO), trip.flow(5, CLOUD)]
    trip.gateway.run("policy", "pause", "cloud-sync", "--for", "ana")
    wait_until(lambda: all(one.poll() == 1 for one in paused), "the paused flows end", 1.0)
    assert trip.refused(2, CLOUD)
    assert [one.poll() for one in others] == [None] * len(others)


def test_what_a_pause_held_back_is_listed(trip: Trip) -> None:
    trip.gateway.run("policy", "pause", "cloud-sync", "--for", "ben")
    assert trip.refused(3, CLOUD)
    (policy,) = trip.gateway.json("policy", "list")
    assert (policy["attempts"], policy["hosts"]) == (1, [CLOUD])


def test_a_pause_that_is_cleared_is_over_at_once(trip: Trip) -> None:
    trip.gateway.run("policy", "pause", "cloud-sync")
    assert trip.refused(5, CLOUD)
    trip.gateway.run("policy", "clear", "p1")
    wait_until(lambda: not trip.refused(5, CLOUD), "it gets through", 5.0)


# -- caps that slow or leave the essentials ----------------------------------------------------


def test_the_essential_floor_works_after_the_cap(trip: Trip) -> None:
    trip.gateway.run("cap", "set", "phone-3", f"{MB}B/day", "--at-cap", "essentials")
    trip.use(3, 2 * MB)
    wait_until(lambda: trip.reached(3), "the cap is reached")
    assert trip.refused(3, VIDEO)
    chat = trip.fetch(3, CHAT, FAST, 10)
    assert chat.wait(40) == 0
    assert chat.stdout
    assert 40_000 <= int(chat.stdout.read().split()[-1]) <= 1.1 * 10 * 64_000 / 8
    assert not trip.gateway.reaches(3)


RATE = 2_000_000
"""Bits a second."""


def test_a_throttle_holds_its_rate_for_all_flows_together(trip: Trip) -> None:
    trip.gateway.run("policy", "throttle", "all", "--rate", f"{RATE // 1000}kbit", "--for", "cleo")
    flows = [trip.flow(5, VIDEO, FAST, 10) for _ in range(3)]
    assert [one.wait(40) for one in flows] == [0, 0, 0]
    moved = sum(int(one.stdout.read().split()[-1]) for one in flows if one.stdout)
    assert moved == pytest.approx(10 * RATE / 8, rel=0.1)


def test_a_throttle_holds_its_rate_for_datagrams_and_charges_what_it_drops(trip: Trip) -> None:
    trip.gateway.run("policy", "throttle", "all", "--rate", f"{RATE // 1000}kbit", "--for", "cleo")
    trip.gateway.rest()
    before, at = trip.gateway.counted(5), trip.lab.truth(server4(5))
    got = _datagrams(trip.lab, 5, speed=RATE / 2, seconds=12)
    assert got == pytest.approx(10 * RATE / 8, rel=0.05)
    trip.gateway.rest()
    assert trip.gateway.counted(5) - before == trip.lab.truth(server4(5)) - at


def _datagrams(lab: Lab, device: int, speed: float, seconds: float) -> int:
    """L3 bytes that reach a device in the last 10 of ``seconds``, sent at ``speed`` bytes a
    second."""
    source = udp_socket(lab, lab.server, server4(device), 7)
    with source, udp_socket(lab, lab.device(device), device4(device)) as client:
        client.sendto(b"go", (server4(device), 7))
        _, peer = source.recvfrom(100)
        client.setblocking(False)
        began, sent, got, end = time.monotonic(), 0, 0, seconds
        while (now := time.monotonic() - began) < end:
            while sent < speed * now:
                sent += source.sendto(bytes(1172), peer) + 28
            while data := _received(client):
                got += len(data) + 28 if now >= end - 10 else 0
            time.sleep(0.005)
    return got


def _received(client: "object") -> bytes:
    try:
        return client.recv(2000)  # type: ignore[attr-defined, no-any-return]
    except BlockingIOError:
        return b""


# -- warnings ----------------------------------------------------------------------------------


def test_a_warning_is_told_once_even_across_a_crash(trip: Trip) -> None:
    trip.gateway.run("cap", "set", "phone-4", f"{4 * MB}B/day", "--warn", "50")
    said = "device:phone-4 has used 50 % of its day cap"
    trip.use(4, 2 * MB)
    wait_until(lambda: said in trip.gateway.said(), "the warning")
    trip.gateway.kill()
    trip.gateway.start()
    wait_until(lambda: trip.gateway.reaches(4), "the device gets through again")
    trip.use(4, MB)
    trip.gateway.rest()
    time.sleep(6)  # the next look
    assert trip.gateway.said().count(said) == 1
