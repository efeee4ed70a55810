"""What ``tripgate up`` says of itself."""

import asyncio
import contextlib
import os
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tripgate import announce
from tripgate.announce import _assigned, described, own_addresses
from tripgate.settings import load


def told(tmp_path: Path, **options: Any) -> str:
    return described(load(state=tmp_path / "state", **options))


def test_every_server_is_told_with_the_address_that_devices_use(tmp_path: Path) -> None:
    said, host = told(tmp_path), own_addresses()[0]
    for line in (
        f"HTTP proxy   {host}:8080 ",
        f"SOCKS5 proxy {host}:1080 ",
        f"Portal       http://{host}:8088/ ",
        "Metrics      http://127.0.0.1:9108/metrics ",
        "Try          curl -x http://127.0.0.1:8080 ",
        f"State        {tmp_path / 'state'} ",
    ):
        assert line in said


def test_a_server_that_is_off_is_not_told(tmp_path: Path) -> None:
    said = told(tmp_path, listen="off", socks="off")
    assert "proxy" not in said
    assert "curl" not in said
    assert "Portal" in said


def test_one_address_is_told_as_it_was_given(tmp_path: Path) -> None:
    assert "HTTP proxy   [::1]:3128 " in told(tmp_path, listen="[::1]:3128")


def test_a_password_of_redis_is_not_told(tmp_path: Path) -> None:
    assert "secret" not in told(tmp_path, redis="redis://:secret@127.0.0.1:6379")


def test_every_private_address_is_told_for_proxies_and_portal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripgate.announce.own_address", lambda: "192.168.1.5")
    every = [IPv4Address(one) for one in ("127.0.0.1", "10.77.0.1", "192.168.1.5", "203.0.113.7")]
    monkeypatch.setattr("tripgate.announce._assigned", lambda: every)
    assert own_addresses() == ["192.168.1.5", "10.77.0.1"]
    said = told(tmp_path)
    for host in own_addresses():
        for where in (f" {host}:8080 ", f" {host}:1080 ", f" http://{host}:8088/ "):
            assert where in said


def test_the_hints_stand_in_one_column(tmp_path: Path) -> None:
    lines = told(tmp_path).splitlines()
    hints = ("set it as", "for programs", "open it", "for Prometheus", "(tripgate")
    columns = {line.index(hint) for line in lines for hint in hints if hint in line}
    assert len(columns) == 1


def test_this_machine_s_addresses_are_read_from_the_kernel() -> None:
    assert own_addresses()
    assert "127.0.0.1" in map(str, _assigned())


def test_a_router_tells_its_lan_and_no_proxy(tmp_path: Path) -> None:
    said = told(tmp_path, mode="router", lan="lan0", uplink="wan0")
    assert "LAN          10.77.0.1 (interface lan0) " in said
    assert "Portal       http://10.77.0.1/ " in said
    assert "proxy" not in said


async def test_the_start_goes_on_where_nothing_can_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    async with asyncio.timeout(announce.PATIENCE_S / 2):
        await announce.announce(load(state=tmp_path / "state"))


async def test_the_start_goes_on_where_nobody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    monkeypatch.setattr(announce, "PATIENCE_S", 0.1)
    with os.fdopen(writing, "w") as full, contextlib.closing(os.fdopen(reading)):
        monkeypatch.setattr(sys, "stdout", full)
        await announce.announce(load(state=tmp_path / "state"))
