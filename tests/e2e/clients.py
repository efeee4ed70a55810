"""Real clients, bounded in time."""

import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.running import Gateway

TIMEOUT_S = 60


@dataclass(frozen=True)
class Fetched:
    """What curl saw of one transfer."""

    code: int
    status: int
    volume: int
    text: str


def curl_command(one: Gateway, url: str, *args: str, via: str = "http") -> list[str]:
    """``via``: ``http`` (a proxy request), ``connect`` (a tunnel) or ``socks``."""
    proxy = {
        "http": ["-x", f"http://127.0.0.1:{one.proxy}"],
        "connect": ["-p", "-x", f"http://127.0.0.1:{one.proxy}"],
        "socks": ["-x", f"socks5h://127.0.0.1:{one.socks}"],
    }[via]
    report = ["-w", "\n%{http_code} %{size_download} %{http_connect}"]
    return ["curl", "-sS", "-k", "-m", str(TIMEOUT_S), *proxy, *report, *args, url]


def curl(
    one: Gateway, url: str, *args: str, via: str = "http", keep: bool = False, stdin: bytes = b""
) -> Fetched:
    """Fetch ``url`` through the gateway; ``keep`` keeps the body's text."""
    sink = [] if keep else ["-o", "/dev/null"]
    command = curl_command(one, url, *sink, *args, via=via)
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    return read_report(done.returncode, done.stdout)


def read_report(code: int, output: bytes) -> Fetched:
    text, _, report = output.decode("utf-8", "replace").rpartition("\n")
    status, volume, connect = (int(word) for word in report.split())
    return Fetched(code, status or connect, volume, text)


def slow_download(one: Gateway, url: str, rate: str = "8M") -> "subprocess.Popen[bytes]":
    """A download in the background, at ``rate`` bytes a second."""
    return subprocess.Popen(
        curl_command(one, url, "--limit-rate", rate, "-o", "/dev/null"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def within(seconds: float, holds: Callable[[], object]) -> bool:
    """Poll ``holds()`` for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Read until ``end`` was seen, however the stream is cut into pieces."""
    read = b""
    while end not in read:
        piece = sock.recv(65536)
        assert piece, read
        read += piece
    return read


def tunnel(one: Gateway, port: int, host: str = "127.0.0.1") -> socket.socket:
    """A connection through CONNECT, its 200 not yet read."""
    client = socket.create_connection(("127.0.0.1", one.proxy), 10)
    client.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
    return client
