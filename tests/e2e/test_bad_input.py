"""Hostile and broken input: a clear answer, no stuck connection, no traceback, no free byte."""

import socket
import time

import pytest

from tests.e2e.clients import curl
from tests.origin import http_talk, origin
from tests.running import Gateway


def say(port: int, data: bytes, patience: float = 8.0) -> bytes:
    """Send, read to the end; a connection that stays open past ``patience`` fails the test."""
    with socket.create_connection(("127.0.0.1", port), patience) as client:
        client.settimeout(patience)
        answer = b""
        try:
            client.sendall(data)
            while piece := client.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        return answer


MALFORMED = {
    "no request line": b"\r\n\r\n\r\n\r\n",
    "garbage": b"\x00\xff\x00\xff\r\n\r\n",
    "spaces only": b"   \r\n\r\n",
    "no version": b"GET http://a.example/\r\n\r\n",
    "unknown version": b"GET http://a.example/ HTTP/9.9\r\nHost: a.example\r\n\r\n",
    "empty target": b"GET  HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "no destination": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "length and chunks": b"POST http://127.0.0.1:1/ HTTP/1.1\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CONNECT without port": b"CONNECT a.example HTTP/1.1\r\n\r\n",
    "CONNECT to port 0": b"CONNECT 127.0.0.1:0 HTTP/1.1\r\n\r\n",
    "CONNECT to port 99999": b"CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n",
    "CONNECT to a newline": b"CONNECT a\nb.example:80 HTTP/1.1\r\n\r\n",
    "CONNECT to nothing": b"CONNECT :80 HTTP/1.1\r\n\r\n",
    "CONNECT to a very long name": b"CONNECT " + b"a" * 5000 + b":80 HTTP/1.1\r\n\r\n",
    "TLS to the proxy itself": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    "another scheme": b"GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "https without CONNECT": b"GET https://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_gets_an_error_and_the_connection_ends(
    running: Gateway, request_: bytes
) -> None:
    answer = say(running.proxy, request_)
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"403", b"501", b"502", b"505")


SOCKS = {
    "another version": b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "no methods": b"\x05\x00",
    "no method in common": b"\x05\x01\x02",
    "BIND": b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50",
    "UDP": b"\x05\x01\x00\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50",
    "unknown address type": b"\x05\x01\x00\x05\x01\x00\x09\x00\x00\x00\x00\x00\x50",
    "an empty name": b"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50",
    "a name of garbage": b"\x05\x01\x00\x05\x01\x00\x03\x04\xff\xfe\x00\x0a\x00\x50",
}


@pytest.mark.parametrize("greeting", SOCKS.values(), ids=SOCKS.keys())
def test_a_malformed_socks_greeting_ends_the_connection(running: Gateway, greeting: bytes) -> None:
    answer = say(running.socks, greeting)
    assert not answer.endswith(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"), "it was let through"


@pytest.mark.parametrize(
    "hello",
    [b"\x16\x03\x01", b"\x16\x03\x01\xff\xff" + bytes(70_000), b"\x16\x03\x01\x00\x01\x01" * 500],
    ids=["cut short", "too long", "one byte a record"],
)
def test_a_broken_client_hello_is_relayed_and_counted(running: Gateway, hello: bytes) -> None:
    with origin(drain) as server:
        before = running.rest()
        target = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", running.proxy), 5) as client:
            client.sendall(target)
            assert b" 200 " in client.recv(4096)
            client.sendall(hello)
        seen = server.settled(1)
        metered = running.rest() - before
    assert abs(metered - len(hello)) <= 16
    assert abs(seen[0].received - len(hello)) <= 1


def drain(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


@pytest.mark.parametrize("data", [b"", b"GET http://a", b"\x05"], ids=["silence", "half", "socks"])
def test_a_client_that_never_finishes_its_request_is_dropped(running: Gateway, data: bytes) -> None:
    began = time.monotonic()
    assert say(running.proxy, data) == b""
    assert time.monotonic() - began < 8


def test_endless_headers_end_at_a_bound(running: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", running.proxy), 10) as client:
        client.settimeout(10)
        client.sendall(b"GET http://127.0.0.1/ HTTP/1.1\r\n")
        sent = 0
        with pytest.raises(OSError):
            while sent < 200_000_000:
                sent += client.send(b"X-Filler: " + b"a" * 60_000 + b"\r\n")
    assert sent < 50_000_000


REFUSED = [
    "http://0.0.0.0:9/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/", "http://[fd00::1]/", "http://[fe80::1]/",
    "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://0x0a000001/", "http://10.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("via", ["http", "connect"])
def test_private_and_metadata_destinations_are_refused(
    running: Gateway, url: str, via: str
) -> None:
    assert curl(running, url, "-g", "-m", "5", via=via).status == 403


@pytest.mark.parametrize("port", ["proxy", "socks", "portal", "metrics"])
def test_the_gateway_does_not_connect_to_itself(running: Gateway, port: str) -> None:
    url = f"http://127.0.0.1:{getattr(running, port)}/"
    assert curl(running, url, via="connect").status == 403


def test_a_local_client_may_reach_loopback(running: Gateway) -> None:
    with origin(http_talk) as server:
        assert curl(running, f"{server.url}/3").volume == 3


def test_nothing_of_this_left_a_traceback(running: Gateway) -> None:
    log = running.log.read_text()
    assert "Traceback" not in log
    assert "has crashed" not in log
