"""QUIC and other UDP on port 443 at a running gateway, with a real QUIC client."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, device4, server4, server6, wait_until
from tests.lab.product import Product, product
from tests.lab.traffic import UDP4, udp_echo, udp_socket
from tests.lab.truth import Bytes

FLOW = Path(__file__).with_name("quicflow.py")
ALIVE_S, GIVE_UP_S = "20", "2"
MET = 2 * 84
"""The ping that the device was admitted with went elsewhere."""
COUNT = """
[network]
quic = "count"
"""
FAMILIES = pytest.mark.parametrize("server", [server4(1), server6(1)], ids=["v4", "v6"])


@contextlib.contextmanager
def _gateway(lab: Lab, folder: Path, server: str, settings: str = "") -> Iterator[Product]:
    with product(lab, folder, settings=settings) as made:
        certificate, key = folder / "server.pem", folder / "server.key"
        names = ["-subj", "/CN=lab", "-keyout", str(key), "-out", str(certificate)]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        lab.run(lab.server, ["openssl", "req", "-x509", *kind, *names])
        command = [sys.executable, str(FLOW), "serve", str(certificate), str(key), server]
        lab.spawn(lab.server, command)
        listening = ["ss", "-Hlun", "sport = :443"]
        wait_until(lambda: bool(lab.run(lab.server, listening).stdout), "a QUIC server")
        made.admit(1)
        yield made


def _fetch(lab: Lab, server: str, volume: int, seconds: str) -> str:
    command = [sys.executable, str(FLOW), "fetch", server, str(volume), seconds]
    return lab.run(lab.device(1), command).stdout.strip()


@FAMILIES
def test_a_quic_client_is_refused_and_no_byte_leaves(lab: Lab, tmp_path: Path, server: str) -> None:
    with _gateway(lab, tmp_path, server):
        assert _fetch(lab, server, 1000, GIVE_UP_S) in ("ConnectionError", "TimeoutError")
    assert lab.truth(server) == Bytes()


@FAMILIES
def test_a_client_that_listens_is_told_at_once(lab: Lab, tmp_path: Path, server: str) -> None:
    here = device4(1) if server == server4(1) else "::"
    with _gateway(lab, tmp_path, server), udp_socket(lab, lab.device(1), here) as client:
        client.connect((server, 443))
        client.send(b"\xc0" + bytes(1199))
        with pytest.raises(ConnectionRefusedError):
            client.recv(2000)


@FAMILIES
def test_quic_that_is_counted_passes_and_is_charged_to_the_byte(
    lab: Lab, tmp_path: Path, server: str
) -> None:
    with _gateway(lab, tmp_path, server, COUNT) as gateway:
        assert _fetch(lab, server, 3_000_000, ALIVE_S) == "3000000"
        assert gateway.rest()["phone-1"].total == lab.truth(server).total + MET


def test_a_vpn_on_the_port_lives(lab: Lab, tmp_path: Path) -> None:
    """WireGuard's transport messages, there and back again, at the pace of a hotel's line."""
    lab.rate(lab.server, "eth0", "10mbit")
    packets, size, message = 2000, 1200, b"\x04\x00\x00\x00" + bytes(1196)
    with (
        product(lab, tmp_path) as gateway,
        udp_echo(lab, server4(1), 443),
        udp_socket(lab, lab.device(1), device4(1)) as client,
    ):
        gateway.admit(1)
        lost = []
        client.settimeout(1)
        for number in range(packets):
            client.sendto(message, (server4(1), 443))
            try:
                client.recv(2000)
            except TimeoutError:
                lost.append(number)
        assert lost == []
        assert gateway.rest()["phone-1"].total == 2 * packets * (size + UDP4) + MET
