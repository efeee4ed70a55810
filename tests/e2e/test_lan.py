"""Devices on a LAN: a gateway, two devices and an origin in network namespaces of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import within
from tests.running import Gateway

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

ORIGIN = "198.51.100.2"  # RFC 5737: public as far as the gateway knows
LAN = "10.99.0"
PUBLIC = "203.0.113"
SERVE = """
import http.server
http.server.ThreadingHTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
MB = 1_000_000
OVERSHOOT = 64 * 1024
PACKETS = 64 * 1024
# Connects, says nothing, prints how it ended; a reset may come as early as in connect.
KNOCK = """
import socket, sys
try:
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5, (sys.argv[3], 0))
    print(sock.recv(100))
except ConnectionResetError:
    print("reset")
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Lan:
    """The namespaces ``PREFIX-gw``, ``-dev`` and ``-net``."""

    prefix: str

    def name(self, which: str) -> str:
        return f"{self.prefix}-{which}"

    def inside(self, which: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.name(which), *command]

    def link(self, other: str, gateway: str, *addresses: str) -> None:
        """A cable from the gateway to another namespace."""
        here, there = f"{self.prefix}g{other[0]}", f"{self.prefix}{other[0]}"
        ip("link", "add", here, "netns", self.name("gw"), "type", "veth",
           "peer", "name", there, "netns", self.name(other))  # fmt: skip
        for which, device, address in (
            ("gw", here, gateway), *((other, there, address) for address in addresses)
        ):  # fmt: skip
            ip("-n", self.name(which), "address", "add", address, "dev", device)
            ip("-n", self.name(which), "link", "set", device, "up")

    def curl(self, url: str, *options: str, source: str = f"{LAN}.2") -> tuple[int, str]:
        """curl's exit code and the HTTP status, of a proxy request or CONNECT."""
        report = ("-o", "/dev/null", "-w", "%{http_code}/%{http_connect}", "-m", "5")
        command = self.inside("dev", "curl", "-sS", "--interface", source, *report, *options, url)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


class InNamespace(Gateway):
    """A gateway inside a namespace."""

    lan: Lan

    def command(self) -> list[str]:
        return self.lan.inside("gw", *super().command())


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    made = Lan(f"tge{os.getpid() % 10_000}")
    children = []
    try:
        for which in ("gw", "dev", "net"):
            ip("netns", "add", made.name(which))
            ip("-n", made.name(which), "link", "set", "lo", "up")
        made.link("dev", f"{LAN}.1/24", f"{LAN}.2/24", f"{LAN}.3/24", f"{PUBLIC}.2/24")
        ip("-n", made.name("gw"), "address", "add", f"{PUBLIC}.1/24", "dev", f"{made.prefix}gd")
        made.link("net", "198.51.100.1/24", f"{ORIGIN}/24")
        (tmp_path / "www").mkdir()
        (tmp_path / "www" / "file").write_bytes(bytes(1_000_000))
        (tmp_path / "www" / "large").write_bytes(bytes(16 * MB))
        served = made.inside("net", sys.executable, "-c", SERVE)
        children.append(subprocess.Popen(served, cwd=tmp_path / "www", stderr=subprocess.DEVNULL))
        yield made
    finally:
        for child in children:
            child.terminate()
            child.wait(5)
        for which in ("gw", "dev", "net"):
            subprocess.run(["ip", "netns", "del", made.name(which)], check=False)


@pytest.fixture
def one(lan: Lan, tmp_path: Path) -> Iterator[Gateway]:
    made = InNamespace(tmp_path / "state")
    made.lan = lan
    made.spawn()
    try:
        assert within(20, lambda: made.cli("status").returncode == 0)
        at = f"http://127.0.0.1:{made.proxy}"
        ready = lan.inside("gw", "curl", "-s", "-m", "5", "-o", f"{tmp_path}/ready", at)
        assert within(5, lambda: subprocess.run(ready, check=False).returncode != 7)
        yield made
    finally:
        assert made.stop() == 0


def proxied(one: Gateway, *options: str) -> tuple[str, ...]:
    return ("-x", f"http://{LAN}.1:{one.proxy}", *options)


FILE = f"http://{ORIGIN}/file"


def test_an_unknown_device_waits_and_moves_no_byte(lan: Lan, one: Gateway) -> None:
    assert lan.curl(FILE, *proxied(one)) == (0, "511/000")
    assert lan.curl(FILE, *proxied(one, "-p"))[1] == "000/511"
    (waiting,) = (row for row in one.json("device", "list") if row["name"] != "this-machine")
    assert (waiting["state"], waiting["ip"]) == ("pending", f"{LAN}.2")
    assert waiting["name"].startswith("dev-")
    assert one.recorded() == 0


def test_a_connectivity_check_of_an_unknown_device_is_not_asked_for_credentials(
    lan: Lan, one: Gateway
) -> None:
    one.run("device", "proxy-user", "phone")
    check = "http://connectivitycheck.gstatic.com/generate_204"
    assert lan.curl(FILE, *proxied(one)) == (0, "407/000")
    assert lan.curl(check, *proxied(one)) == (0, "511/000")
    assert one.recorded() == 0


def test_an_approved_device_is_metered_by_itself_and_cut_by_itself(lan: Lan, one: Gateway) -> None:
    for source in (f"{LAN}.2", f"{LAN}.3"):
        lan.curl(FILE, *proxied(one), source=source)
    first, second = (row["id"] for row in one.json("device", "list") if row["ip"])
    for device, name in ((first, "first"), (second, "second")):
        one.run("device", "approve", device)
        one.run("device", "name", device, name)
    by = {row["name"]: row["ip"] for row in one.json("device", "list")}
    assert within(2, lambda: lan.curl(FILE, *proxied(one), source=by["first"])[1] == "200/000")
    one.run("cap", "set", "second", "500kB/day")
    assert lan.curl(FILE, *proxied(one), source=by["second"])[0] != 0
    assert lan.curl(FILE, *proxied(one), source=by["second"])[1] == "511/000"
    assert lan.curl(FILE, *proxied(one), source=by["first"])[1] == "200/000"
    one.rest()
    assert one.used("first") >= 2_000_000
    assert 500_000 <= one.used("second") <= 500_000 + OVERSHOOT  # with what had arrived unread


@pytest.mark.parametrize("limit", [500_000, 2 * MB, 8 * MB])
@pytest.mark.parametrize("flows", [1, 8])
def test_what_servers_send_beyond_a_cap_is_bounded(
    lan: Lan, one: Gateway, limit: int, flows: int
) -> None:
    """Of each flow the smallest window, two small reads and what a SYN offers may be on its way
    when the cap is reached: 8 KiB; 64 KiB for eight of them."""
    lan.curl(FILE, *proxied(one))
    (device,) = (row["id"] for row in one.json("device", "list") if row["ip"])
    one.run("device", "approve", device)
    one.run("device", "name", device, "phone")
    one.run("cap", "set", "phone", f"{limit}B/day")
    assert within(2, lambda: lan.curl(f"http://{ORIGIN}/", *proxied(one))[1] == "200/000")
    large = ("curl", "-sS", "--interface", f"{LAN}.2", "-m", "30", "-o", "/dev/null",
             "-w", "%{size_download}\n", *proxied(one), f"http://{ORIGIN}/large")  # fmt: skip
    clients = [
        subprocess.Popen(lan.inside("dev", *large), stdout=subprocess.PIPE, text=True)
        for _ in range(flows)
    ]
    delivered = sum(int(client.communicate()[0]) for client in clients)
    one.rest()
    assert delivered <= limit + OVERSHOOT
    assert limit - PACKETS <= one.used("phone") <= limit + OVERSHOOT


@pytest.mark.parametrize("server", ["proxy", "socks"])
def test_a_client_with_a_public_address_is_reset_and_not_entered(
    lan: Lan, one: Gateway, server: str
) -> None:
    port = str(getattr(one, server))
    knock = (sys.executable, "-c", KNOCK, f"{PUBLIC}.1", port, f"{PUBLIC}.2")
    done = subprocess.run(lan.inside("dev", *knock), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("reset\n", "")
    assert [row["name"] for row in one.json("device", "list")] == ["this-machine"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", f"{LAN}.1", f"{LAN}.3", "198.51.100.1"])
def test_a_device_is_not_taken_to_the_gateway_or_the_lan(lan: Lan, one: Gateway, host: str) -> None:
    lan.curl(FILE, *proxied(one))
    (device,) = (row["id"] for row in one.json("device", "list") if row["ip"])
    one.run("device", "approve", device)
    assert within(2, lambda: lan.curl(FILE, *proxied(one))[1] == "200/000")
    assert lan.curl(f"http://{host}:22/", "-g", *proxied(one))[1] == "403/000"


def test_an_approval_opens_and_a_block_cuts_within_a_second(lan: Lan, one: Gateway) -> None:
    lan.curl(FILE, *proxied(one))
    (device,) = (row["id"] for row in one.json("device", "list") if row["ip"])
    one.run("device", "approve", device)
    assert within(1, lambda: lan.curl(FILE, *proxied(one))[1] == "200/000")
    one.run("device", "block", device)
    assert within(1, lambda: lan.curl(FILE, *proxied(one))[1] == "511/000")
