"""kill -9, and what the books say afterwards."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.clients import curl, read_report, slow_download, within
from tests.origin import http_talk, origin
from tests.running import Gateway, environment, stop_ledger

MB = 1_000_000
LEASE = 16 * 1024 * 1024


def ledger_pid(one: Gateway) -> int:
    return int((one.state / "redis" / "valkey.pid").read_text())


@pytest.mark.parametrize("after", [0.3, 1.0, 1.9])
def test_kill_9_in_mid_download_loses_no_byte(fresh: Gateway, after: float) -> None:
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{100 * MB}")
        time.sleep(after)
        fresh.kill()
        received = read_report(client.wait(20), client.stdout.read()).volume  # type: ignore[union-attr]
        acknowledged = sum(one.total for one in server.settled(1))
        fresh.start()
        recorded = fresh.settled_use()
    assert received > 0
    assert received <= recorded <= acknowledged + LEASE


def test_kill_9_twice_charges_once(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{100 * MB}")
        time.sleep(1)
        fresh.kill()
        client.wait(20)
    fresh.start()
    once = fresh.settled_use()
    fresh.kill()
    fresh.start()
    assert fresh.settled_use() == once


def test_after_kill_9_nothing_stays_reserved(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "500MB/day")
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{100 * MB}")
        time.sleep(1)
        fresh.kill()
        client.wait(20)
    fresh.start()
    fresh.settled_use()
    assert fresh.json("cap", "list")[0]["reserved"] == 0


def test_kill_9_of_the_ledger_loses_nothing(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{10 * MB}")
        before = fresh.settled_use()
        killed = ledger_pid(fresh)
        os.kill(killed, signal.SIGKILL)
        assert within(10, lambda: ledger_pid(fresh) != killed and fresh.cli("cap", "list"))
        assert within(10, lambda: curl(fresh, f"{server.url}/{MB}").volume == MB)
        after = fresh.settled_use()
    assert before + MB <= after


def test_without_a_ledger_no_byte_flows_and_the_client_is_told_why(
    tmp_path: Path,
) -> None:
    one = Gateway(tmp_path / "state")
    try:
        one.start()
        with origin(http_talk) as server:
            curl(one, f"{server.url}/1")
            one.settled_use()
            pid = ledger_pid(one)
            os.kill(pid, signal.SIGSTOP)
            try:
                seen = len(server.settled(1))
                time.sleep(0.5)
                client = slow_download(one, f"{server.url}/{200 * MB}", rate="50M")
                code = client.wait(60)
                volume = read_report(code, client.stdout.read()).volume  # type: ignore[union-attr]
                told = curl(one, f"{server.url}/1").status
                status = one.json("status")
            finally:
                os.kill(pid, signal.SIGCONT)
            assert seen == 1
        assert volume <= LEASE
        assert told in (503, 511)
        assert status["ledger"] == "down"
    finally:
        if one.process and one.process.poll() is None:
            one.stop()
        stop_ledger(one.state)


def test_sigterm_settles_leases_with_many_flows_open(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        fresh.run("cap", "set", "this-machine", "500MB/day")
        clients = []
        for _ in range(200):
            client = socket.create_connection(("127.0.0.1", fresh.proxy), 10)
            client.sendall(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode())
            clients.append(client)
        for client in clients:
            assert b"200" in client.recv(200)
        curl(fresh, f"{server.url}/{5 * MB}")
        began = time.monotonic()
        assert fresh.stop() == 0
        assert time.monotonic() - began < 5
        for client in clients:
            client.close()
    fresh.start()
    (cap,) = fresh.json("cap", "list")
    assert cap["reserved"] == 0
    assert cap["used"] >= 5 * MB


def test_a_second_gateway_on_the_same_state_is_refused(fresh: Gateway) -> None:
    second = Gateway(fresh.state, options=("--portal", f"127.0.0.1:{fresh.portal}"))
    done = subprocess.run(
        second.command(),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    how = f"Ctrl-C there, or kill {fresh.process.pid}"
    assert f"a gateway is running on {fresh.state}: stop it ({how})" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
