"""Under which name bytes are kept: the one in CONNECT or SOCKS, else the SNI, else Host."""

import gzip
import socket
import ssl
from collections.abc import Callable

import pytest

from tests.e2e.clients import curl
from tests.origin import http_talk, origin, read_head
from tests.running import Gateway

VOLUME = 100_000


def hosts(one: Gateway) -> dict[str, int]:
    one.rest()
    return {row["host"]: row["total"] for row in one.json("usage", "--by", "host")["rows"]}


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_name_that_was_asked_for_is_kept(fresh: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        got = curl(fresh, f"http://localhost:{server.port}/{VOLUME}", via=via)
    assert got.volume == VOLUME
    assert hosts(fresh)["localhost"] > VOLUME


@pytest.mark.parametrize("via", ["connect", "socks"])
def test_behind_an_address_the_sni_is_the_name(
    fresh: Gateway, tls: Callable[[], ssl.SSLContext], via: str
) -> None:
    with origin(http_talk, tls=tls()) as server:
        to = ("--connect-to", f"shop.example:443:127.0.0.1:{server.port}")
        got = curl(fresh, f"https://shop.example/{VOLUME}", *to, via=via)
    assert got.volume == VOLUME
    assert hosts(fresh)["shop.example"] > VOLUME


@pytest.mark.parametrize("via", ["connect", "socks"])
def test_behind_an_address_host_is_the_name(fresh: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{VOLUME}", "-H", "Host: Shop.Example:80", via=via)
    assert hosts(fresh)["shop.example"] > VOLUME


def test_a_hostile_name_is_kept_as_unknown(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{VOLUME}", "-H", "Host: <b>|u\x1b[31m", via="connect")
    assert hosts(fresh)["unknown"] > VOLUME


def test_a_compressed_body_is_charged_as_it_came_and_stays_compressed(fresh: Gateway) -> None:
    packed = gzip.compress(bytes(range(256)) * 4000)

    def talk(sock: socket.socket) -> None:
        read_head(sock, bytearray())
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        sock.sendall(head.encode() + packed)

    with origin(talk) as server:
        assert curl(fresh, server.url, "--compressed").volume == len(packed)
        assert len(packed) < fresh.settled_use() < len(packed) + 1000


@pytest.mark.parametrize("via", ["http", "connect"])
@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-name.invalid"])
def test_a_server_that_cannot_be_reached_is_a_page_that_says_so(
    running: Gateway, via: str, host: str
) -> None:
    german = ("-H", "Accept-Language: de", "--proxy-header", "Accept-Language: de")
    got = curl(running, f"http://{host}/", *german, via=via, keep=True)
    assert got.status == 502
    if via == "http":
        assert "nicht erreichbar" in got.text


def test_a_server_that_cannot_be_reached_is_a_refusal_over_socks(running: Gateway) -> None:
    assert curl(running, "http://127.0.0.1:1/", via="socks").code == 97
