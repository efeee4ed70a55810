"""systemd hears that the gateway is ready, lives and stops; nobody else hears anything."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import free_port
from tests.running import gateway as running
from tripgate.sdnotify import notifying, tell
from tripgate.settings import Supervision, supervision


class Manager:
    """The socket of a systemd."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self.name)
        self._sock.settimeout(10)

    def heard(self) -> str:
        return self._sock.recv(100).decode()

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def now() -> asyncio.Event:
    """Ready at once."""
    made = asyncio.Event()
    made.set()
    return made


async def test_ready_is_said_first_and_stopping_last(manager: Manager) -> None:
    async with notifying(Supervision(manager.name), now()):
        assert await asyncio.to_thread(manager.heard) == "READY=1"
    assert manager.heard() == "STOPPING=1"


async def test_a_gateway_that_never_was_ready_only_stops(manager: Manager) -> None:
    async with notifying(Supervision(manager.name, 0.03), asyncio.Event()):
        await asyncio.sleep(0)
    assert manager.heard() == "STOPPING=1"


async def test_a_sign_of_life_comes_again_and_again(manager: Manager) -> None:
    async with notifying(Supervision(manager.name, 0.03), now()):
        heard = [await asyncio.to_thread(manager.heard) for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]


async def test_a_gateway_that_systemd_did_not_start_says_nothing() -> None:
    async with notifying(Supervision(), now()):
        assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_systemd_that_is_gone_is_no_error(tmp_path: Path) -> None:
    tell(str(tmp_path / "nobody"), "READY=1")


def test_an_abstract_socket_is_reached() -> None:
    name = f"tripgate-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        tell(f"@{name}", "READY=1")
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Supervision()),
        ({"NOTIFY_SOCKET": "/run/n"}, Supervision("/run/n")),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "30000000"}, Supervision("/run/n", 30)),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "x"}, Supervision("/run/n")),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"},
         Supervision("/run/n")),
    ],
)  # fmt: skip
def test_what_systemd_says_is_read(
    environment: dict[str, str], expected: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert supervision() == expected


def test_a_gateway_tells_systemd_when_it_serves_and_when_it_stops(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
    with running(tmp_path / "state", "--metrics", f"127.0.0.1:{free_port()}") as gateway:
        assert manager.heard() == "READY=1"
        assert gateway.stop() == 0
    assert manager.heard() == "STOPPING=1"
