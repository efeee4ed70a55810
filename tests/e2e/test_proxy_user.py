"""A device that is known by its credentials, from whatever address it comes."""

import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.clients import curl, curl_command, within
from tests.origin import http_talk, origin
from tests.running import Gateway

MB = 1_000_000
VIA = ("http", "connect", "socks")


@pytest.fixture
def secret(fresh: Gateway) -> Iterator[str]:
    """Of the user ``phone``."""
    made = fresh.json("device", "proxy-user", "phone")
    assert (made["device"], made["user"]) == ("phone", "phone")
    yield made["secret"]
    assert made["secret"] not in fresh.log.read_text()
    assert made["secret"] not in fresh.run("audit", "--json")


@pytest.mark.parametrize("via", VIA)
def test_credentials_say_which_device_pays(fresh: Gateway, secret: str, via: str) -> None:
    before = fresh.settled_use()
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/{MB}", "-U", f"phone:{secret}", via=via)
    assert (got.code, got.status) == (0, 200)
    assert fresh.settled_use("phone") >= MB
    assert fresh.used() == before


@pytest.mark.parametrize("user", ["phone:wrong", "nobody:{secret}", "phone:"])
def test_wrong_credentials_get_407_and_not_a_byte(fresh: Gateway, secret: str, user: str) -> None:
    with origin(http_talk) as server:
        for via in ("http", "connect"):
            got = curl(fresh, f"{server.url}/{MB}", "-U", user.format(secret=secret), via=via)
            assert got.status == 407
        assert not server.settled(0)
    assert fresh.settled_use("phone") == 0


def test_wrong_credentials_end_a_socks_connection(fresh: Gateway, secret: str) -> None:
    with origin(http_talk) as server:
        command = curl_command(fresh, f"{server.url}/1", "-U", "phone:wrong", via="socks")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 97  # CURLE_PROXY
    assert fresh.settled_use("phone") == 0


@pytest.mark.parametrize("via", VIA)
def test_without_credentials_the_address_says_who_it_is(
    fresh: Gateway, secret: str, via: str
) -> None:
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/{MB}", via=via)
    assert got.code == 0
    assert fresh.settled_use() >= MB
    assert fresh.used("phone") == 0


def test_the_devices_cap_cuts_it_and_nobody_else(fresh: Gateway, secret: str) -> None:
    fresh.run("cap", "set", "phone", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{5 * MB}", "-U", f"phone:{secret}")
        assert curl(fresh, f"{server.url}/1", "-U", f"phone:{secret}").status == 511
        assert curl(fresh, f"{server.url}/1").status == 200


def test_the_origin_never_sees_the_credentials(fresh: Gateway, secret: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        command = curl_command(fresh, url, "-U", f"phone:{secret}")
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server.settimeout(10)
        connection, _ = server.accept()
        with connection:
            head = connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.wait(10)
    assert head.startswith(b"GET / HTTP/1.1")
    assert b"authorization" not in head.lower()


def test_a_new_secret_ends_the_old_one(fresh: Gateway, secret: str) -> None:
    fresh.run("device", "proxy-user", "phone")
    with origin(http_talk) as server:
        old = ("-U", f"phone:{secret}")
        assert within(1, lambda: curl(fresh, f"{server.url}/1", *old).status == 407)
