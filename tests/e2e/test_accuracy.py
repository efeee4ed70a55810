"""The meter against the origin's kernel: within 1 % or 2 KiB per connection, whatever happens.

The truth is ``tcpi_bytes_acked`` and ``tcpi_bytes_received`` of the origin's own sockets.
"""

import asyncio
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable

import httpx
import pytest
import websockets

from tests.e2e.clients import curl, curl_command, read_until, tunnel
from tests.origin import Conversation, Origin, Seen, echo_talk, http_talk, origin
from tests.running import Gateway
from tripgate.proxy.metered import TOLD_S
from tripgate.proxy.streams import BACKLOG_S

MB = 1_000_000
WINDOW = 64 * 1024
Tls = Callable[[], ssl.SSLContext]


def agrees(metered: int, seen: list[Seen], lost: int = 0) -> bool:
    """Within 1 % or 2 KiB per connection, whichever is more, and what was ``lost`` on its way."""
    most = sum(max(one.total // 100, 2048) for one in seen)
    return -most <= metered - sum(one.total for one in seen) <= most + lost


class Check:
    """Measures one stretch of traffic on a running gateway."""

    def __init__(self, one: Gateway, server: Origin) -> None:
        self._one, self._server = one, server
        self._before = one.recorded()

    def holds(self, connections: int = 1, at_least: int = 0, lost: int = 0) -> None:
        seen = self._server.settled(connections)
        metered = self._one.rest() - self._before
        assert not self._server.errors
        assert sum(one.total for one in seen) >= at_least, "the traffic did not happen"
        assert agrees(metered, seen, lost), (metered, seen)


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_download_of_50_mb_is_metered(running: Gateway, via: str, host: str) -> None:
    with origin(http_talk, host=host) as server:
        check = Check(running, server)
        assert curl(running, f"{server.url}/{50 * MB}", via=via).volume == 50 * MB
        check.holds(at_least=50 * MB)


@pytest.mark.parametrize("via", ["connect", "socks"])
def test_a_download_of_50_mb_over_tls_is_metered_undecrypted(
    running: Gateway, tls: Tls, via: str
) -> None:
    with origin(http_talk, tls=tls()) as server:
        check = Check(running, server)
        url = server.url.replace("http:", "https:")
        assert curl(running, f"{url}/{50 * MB}", via=via).volume == 50 * MB
        check.holds(at_least=50 * MB)


@pytest.mark.parametrize("kind", ["chunked", "until-close"])
def test_a_download_without_a_length_is_metered(running: Gateway, kind: str) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        assert curl(running, f"{server.url}/{kind}/{5 * MB}").volume == 5 * MB
        check.holds(at_least=5 * MB)


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_chunked_upload_of_20_mb_is_metered(running: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        done = curl(running, f"{server.url}/put", "-T", "-", via=via, keep=True,
                    stdin=bytes(20 * MB))  # fmt: skip
        assert done.text == str(20 * MB)
        check.holds(at_least=20 * MB)


def test_an_upload_that_expects_100_continue_is_metered(running: Gateway) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        done = curl(running, f"{server.url}/put", "-H", "Expect: 100-continue", "--data-binary",
                    "@-", keep=True, stdin=bytes(3 * MB))  # fmt: skip
        assert done.text == str(3 * MB)
        check.holds(at_least=3 * MB)


def test_500_small_keep_alive_requests_are_metered(running: Gateway) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        with httpx.Client(proxy=f"http://127.0.0.1:{running.proxy}") as client:
            for _ in range(500):
                assert len(client.get(f"{server.url}/100").content) == 100
        check.holds(at_least=500 * 100)


def test_a_websocket_echo_of_10_mb_is_metered(running: Gateway) -> None:
    async def talk(port: int) -> None:
        uri = f"ws://127.0.0.1:{port}/"
        proxy = f"http://127.0.0.1:{running.proxy}"
        async with websockets.connect(uri, proxy=proxy, max_size=None) as ws:
            for _ in range(100):
                await ws.send(bytes(100_000))
                assert len(await ws.recv()) == 100_000

    with origin(websocket_talk) as server:
        check = Check(running, server)
        asyncio.run(talk(server.port))
        check.holds(at_least=20 * MB)


def test_a_websocket_upgrade_through_a_proxy_request_is_metered(running: Gateway) -> None:
    upgrade = (
        "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with origin(websocket_talk) as server:
        check = Check(running, server)
        with socket.create_connection(("127.0.0.1", running.proxy), 10) as client:
            client.sendall(upgrade.format(host=f"127.0.0.1:{server.port}").encode())
            assert b"101" in client.recv(4096)
            # one masked binary frame of 60,000 bytes, mask zero (RFC 6455 section 5.2)
            client.sendall(b"\x82\xfe\xea\x60\x00\x00\x00\x00" + bytes(60_000))
            got = 0
            while got < 60_004:
                got += len(client.recv(65536))
        check.holds(at_least=120_000)


def test_http_2_inside_connect_is_metered(running: Gateway, tls: Tls) -> None:
    context = tls()
    context.set_alpn_protocols(["h2"])
    with origin(h2_talk, tls=context) as server:
        check = Check(running, server)
        with httpx.Client(
            http2=True, verify=False, proxy=f"http://127.0.0.1:{running.proxy}"
        ) as client:
            for _ in range(5):
                answer = client.get(f"https://127.0.0.1:{server.port}/{MB}")
                assert (answer.http_version, len(answer.content)) == ("HTTP/2", MB)
        check.holds(at_least=5 * MB)


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_client_that_vanishes_in_mid_download_is_metered(running: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        command = curl_command(running, f"{server.url}/{50 * MB}", "--limit-rate", "5M", via=via)
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.0)
        client.kill()
        client.wait()
        check.holds(at_least=2 * MB)


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_client_that_vanishes_in_mid_upload_is_metered(running: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        command = curl_command(
            running,
            f"{server.url}/put",
            "--limit-rate",
            "5M",
            "-H",
            "Expect:",
            "-T",
            "/dev/zero",
            via=via,
        )
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.0)
        client.kill()
        client.wait()
        check.holds(at_least=2 * MB)


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_server_that_resets_in_mid_download_is_metered(running: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        check = Check(running, server)
        curl(running, f"{server.url}/reset/{3 * MB}", via=via)
        check.holds(at_least=3 * MB)


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_server_that_resets_in_mid_upload_is_metered(running: Gateway, via: str) -> None:
    with origin(reset_upload_talk(2 * MB), window=WINDOW) as server:
        check = Check(running, server)
        curl(running, f"{server.url}/put", "-T", "/dev/zero", via=via)
        check.holds(at_least=2 * MB, lost=WINDOW)  # what meets the reset was sent all the same


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_servers_reset_ends_the_clients_upload(running: Gateway, via: str) -> None:
    with origin(reset_upload_talk(2 * MB)) as server:
        began = time.monotonic()
        done = curl(running, f"{server.url}/put", "-T", "/dev/zero", via=via)
        # Not by the backlog, which gives up a client that nobody reads.
        assert time.monotonic() - began < BACKLOG_S / 2
        assert done.code != 0 or done.status == 502
        assert server.settled(1)[0].received >= 2 * MB


def test_another_servers_reset_does_not_end_an_upload(running: Gateway) -> None:
    """Both are on the client's one connection; the first has answered and was kept alive."""
    over = threading.Event()

    def answer_then_reset(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        over.wait(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    with (
        origin(answer_then_reset) as first,
        origin(http_talk) as second,
        socket.create_connection(("127.0.0.1", running.proxy)) as client,
    ):
        client.settimeout(10)
        client.sendall(f"GET {first.url}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        read_until(client, b"ok")
        head = f"PUT {second.url}/put HTTP/1.1\r\nHost: b\r\nContent-Length: 2000\r\n\r\n"
        client.sendall(head.encode() + bytes(1000))
        over.set()
        first.settled(1)
        time.sleep(2 * TOLD_S)
        client.sendall(bytes(1000))
        assert b" 200 " in read_until(client, b"\r\n\r\n")


def test_a_server_that_speaks_first_is_metered_through_connect(running: Gateway) -> None:
    def greet(sock: socket.socket) -> None:
        sock.sendall(b"220 mail.example ready\r\n")
        echo_talk(sock)

    with origin(greet) as server:
        check = Check(running, server)
        with tunnel(running, server.port) as client:
            assert b" 200 " in read_until(client, b"220 mail.example ready\r\n")
            client.sendall(b"EHLO me\r\n")
            assert read_until(client, b"\r\n") == b"EHLO me\r\n"
        check.holds(at_least=42)


# -- conversations that only these tests have --------------------------------------------------


def websocket_talk(sock: socket.socket) -> None:
    """A real WebSocket server on an accepted socket: echoes every message."""
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(max_size=None)
    while data := sock.recv(65536):
        protocol.receive_data(data)
        for event in protocol.events_received():
            if hasattr(event, "opcode"):
                if event.opcode in (1, 2):
                    protocol.send_binary(event.data)
            else:
                protocol.send_response(protocol.accept(event))  # type: ignore[arg-type]
        for chunk in protocol.data_to_send():
            if chunk:
                sock.sendall(chunk)
            else:
                sock.shutdown(socket.SHUT_WR)


def h2_talk(sock: socket.socket) -> None:
    """A real HTTP/2 server (RFC 9113) on an accepted socket: ``/N`` gives N bytes."""
    import h2.config
    import h2.connection
    import h2.events

    conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    conn.initiate_connection()
    sock.sendall(conn.data_to_send())
    owed: dict[int, int] = {}
    while data := sock.recv(65536):
        for event in conn.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = dict(event.headers)
                path = headers.get(b":path") or headers[":path"].encode()  # type: ignore[call-overload]
                owed[event.stream_id] = int(path.strip(b"/"))
                conn.send_headers(event.stream_id, [(":status", "200")])
        for stream in list(owed):
            while owed[stream] and (room := conn.local_flow_control_window(stream)):
                size = min(owed[stream], room, conn.max_outbound_frame_size)
                owed[stream] -= size
                conn.send_data(stream, bytes(size), end_stream=not owed[stream])
        owed = {stream: left for stream, left in owed.items() if left}
        sock.sendall(conn.data_to_send())


def reset_upload_talk(volume: int) -> Conversation:
    """Read ``volume`` bytes, stop reading for a moment, then reset with data unread."""

    def talk(sock: socket.socket) -> None:
        got = 0
        while got < volume:
            got += len(sock.recv(65536))
        time.sleep(0.3)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raise ConnectionResetError

    return talk
