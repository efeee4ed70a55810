"""A server's reset is the client's too: a polite end would make what is truncated look complete."""

import socket
from collections.abc import Callable

import pytest

from tests.e2e.clients import read_until, tunnel
from tests.origin import http_talk, origin
from tests.running import Gateway

MB = 1_000_000


def through_socks(one: Gateway, port: int) -> socket.socket:
    """A connection through SOCKS 5, open (RFC 1928)."""
    client = socket.create_connection(("127.0.0.1", one.socks), 10)
    client.sendall(b"\x05\x01\x00")
    assert client.recv(2) == b"\x05\x00"
    client.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + port.to_bytes(2, "big"))
    assert client.recv(10)[:2] == b"\x05\x00"
    return client


def through_connect(one: Gateway, port: int) -> socket.socket:
    client = tunnel(one, port)
    assert b" 200 " in read_until(client, b"\r\n\r\n")
    return client


@pytest.mark.parametrize(
    ("through", "ended"),
    [(through_connect, False), (through_socks, False), (through_socks, True)],
    ids=["connect", "socks", "socks, the client has sent its end"],
)
def test_a_servers_reset_in_mid_download_of_a_tunnel_reaches_the_client(
    running: Gateway, through: Callable[[Gateway, int], socket.socket], ended: bool
) -> None:
    with origin(http_talk) as server, through(running, server.port) as client:
        client.sendall(b"GET /reset/%d HTTP/1.1\r\nHost: a\r\n\r\n" % MB)
        if ended:
            client.shutdown(socket.SHUT_WR)
        got = len(read_until(client, b"\r\n\r\n"))
        with pytest.raises(ConnectionResetError):
            while data := client.recv(65536):
                got += len(data)
        assert got > MB
    running.rest()
    assert running.json("status")["flows"] == 0
