"""The life of a gateway: its start, many flows, long flows, other ledgers, its end."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import curl, read_report, read_until, slow_download, tunnel, within
from tests.origin import echo_talk, http_talk, origin
from tests.running import Gateway, environment, gateway
from tests.servers import DURABLE, Server, debian_program, running, valkey_program
from tripgate.ledger import keys

MB = 1_000_000
FLOWS = 1_000


def resident(one: Gateway) -> int:
    """Bytes of memory of the gateway's process."""
    assert one.process
    pages = int(Path(f"/proc/{one.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def answers(port: int) -> bool:
    """Somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for the test's own ends of many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * FLOWS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- the end -----------------------------------------------------------------------------------


def test_sigterm_with_1000_flows_settles_and_exits_0(fresh: Gateway, many_files: None) -> None:
    fresh.run("cap", "set", "this-machine", "500MB/day")
    with origin(echo_talk) as server, contextlib.ExitStack() as clients:
        for _ in range(FLOWS):
            client = clients.enter_context(tunnel(fresh, server.port))
            client.sendall(bytes(1000))
            read_until(client, bytes(1000))
        assert fresh.json("status")["flows"] == FLOWS
        assert fresh.stop() == 0
    fresh.start()
    (cap,) = fresh.json("cap", "list")
    assert cap["reserved"] == 0
    assert cap["used"] == FLOWS * 2000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_ledger_with_nothing_on_stderr(
    fresh: Gateway, number: signal.Signals
) -> None:
    pid = int((fresh.state / "redis" / "valkey.pid").read_text())
    assert fresh.process
    fresh.process.send_signal(number)
    assert fresh.process.wait(5) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert "Traceback" not in fresh.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_it_tells_its_addresses_is_a_clean_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    one = Gateway(tmp_path / "state")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)  # who writes to it now waits until somebody reads
    env = environment(PYTHONUNBUFFERED="1")
    process = subprocess.Popen(one.command(), env=env, stdout=writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        assert within(10, lambda: answers(one.portal))
        process.send_signal(number)
        told.read()
    assert process.wait(10) == 0
    assert not (one.state / "redis" / "valkey.pid").exists()


def test_a_gateway_that_was_stopped_goes_on_where_it_stopped(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "500MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{MB}")
    used = fresh.settled_use()
    assert fresh.stop() == 0
    fresh.start()
    assert fresh.used() == used
    assert fresh.json("cap", "list")[0]["used"] == used


# -- the start ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["listen", "socks", "portal", "metrics"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_occupied_port_names_the_option(tmp_path: Path, option: str, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        one = Gateway(tmp_path / "state", options=(f"--{option}", at))
        done = subprocess.run(
            one.command(),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"tripgate: --{option} {at}: Address already in use")
    assert done.stderr.count("\n") == 1


def test_the_addresses_are_told(fresh: Gateway) -> None:
    assert within(5, lambda: "State" in fresh.log.read_text())
    log = fresh.log.read_text()
    for told in (f":{fresh.proxy} ", f":{fresh.socks} ", f":{fresh.portal}/", f"{fresh.metrics}/"):
        assert told in log
    assert f"curl -x http://127.0.0.1:{fresh.proxy} http" in log


# -- memory ------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_bytes(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{50 * MB}")
        before = resident(fresh)
        assert curl(fresh, f"{server.url}/{1000 * MB}").volume == 1000 * MB
    assert resident(fresh) - before < 16 * MB


@pytest.mark.parametrize("via", ["http", "connect"])
def test_memory_does_not_grow_with_messages(fresh: Gateway, via: str) -> None:
    with origin(http_talk) as server:

        def ask(count: int) -> None:
            with socket.create_connection(("127.0.0.1", fresh.proxy), 10) as client:
                target = server.url
                if via == "connect":
                    client.sendall(f"CONNECT {server.url[7:]} HTTP/1.1\r\n\r\n".encode())
                    read_until(client, b"\r\n\r\n")
                    target = ""
                for _ in range(count):
                    client.sendall(f"GET {target}/1000 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                    got = len(read_until(client, b"\r\n\r\n").split(b"\r\n\r\n", 1)[1])
                    while got < 1000:
                        got += len(client.recv(65536))

        ask(500)
        before = resident(fresh)
        ask(5000)
    assert resident(fresh) - before < 8 * MB


def test_a_client_that_reads_nothing_does_not_fill_the_memory(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{50 * MB}")
        before = resident(fresh)
        with socket.create_connection(("127.0.0.1", fresh.proxy), 10) as client:
            client.sendall(f"GET {server.url}/{500 * MB} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            fresh.rest()
            assert resident(fresh) - before < 8 * MB


# -- other ledgers -----------------------------------------------------------------------------


def test_debians_redis_keeps_the_ledger_as_well(tmp_path: Path) -> None:
    with (
        running(debian_program(), *DURABLE) as redis,
        gateway(tmp_path / "state", "--redis", redis.url) as one,
        origin(http_talk) as server,
    ):
        one.run("cap", "set", "this-machine", "5MB/day")
        got = curl(one, f"{server.url}/{20 * MB}")
        assert 4 * MB < got.volume <= 5 * MB + 64 * 1024
        assert curl(one, f"{server.url}/1").status == 511
        assert one.settled_use() >= got.volume
        assert not (one.state / "redis" / "valkey.pid").exists()


def refuse_writes(server: Server, how: str) -> None:
    with server.client() as client:
        if how == "memory":
            client.config_set("maxmemory", 1)
        else:
            client.config_set("min-replicas-to-write", 1)


def accept_writes(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory", 0)
        client.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("how", ["memory", "replicas"])
def test_a_redis_that_cannot_write_stops_the_bytes_and_loses_none(tmp_path: Path, how: str) -> None:
    with (
        running(valkey_program(), *DURABLE) as redis,
        gateway(tmp_path / "state", "--redis", redis.url) as one,
        origin(http_talk) as server,
    ):
        assert curl(one, f"{server.url}/{MB}").volume == MB
        one.settled_use()
        refuse_writes(redis, how)
        got = curl(one, f"{server.url}/{100 * MB}", "-m", "30")
        assert got.volume <= 16 * 2**20
        assert one.json("status")["ledger"] == "down"
        accept_writes(redis)
        assert within(10, lambda: curl(one, f"{server.url}/{MB}").volume == MB)
        truth = server.total
        assert abs(one.settled_use() - truth) <= max(truth // 100, 2048 * len(server.seen))
        assert "Traceback" not in one.log.read_text()


def test_a_ledger_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with running(valkey_program()) as redis:
        with redis.client() as client:
            client.set("{plan}:schema", "99")
        one = Gateway(tmp_path / "state", options=("--redis", redis.url))
        done = subprocess.run(
            one.command(),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1
    assert "newer tripgate (schema 99" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_ledger_of_an_older_schema_is_upgraded_after_a_backup(tmp_path: Path) -> None:
    with running(valkey_program()) as redis:
        one = Gateway(tmp_path / "state", options=("--redis", redis.url))
        one.start()
        device = one.json("device", "list")[0]["id"]
        assert one.stop() == 0
        with redis.client() as client:
            client.set("{plan}:schema", "1")
            client.hset(f"{{plan}}:use:{device}:life", "youtube|video|d", 7)
        one.start()
        (row,) = one.json("usage", "--by", "service")["rows"]
        assert (row["service"], row["total"]) == ("youtube", 7)
        assert one.stop() == 0
        with redis.client() as client:
            assert client.get("{plan}:schema") == str(keys.SCHEMA)
    assert (one.state / f"before-schema-{keys.SCHEMA}").is_file()


def test_two_gateways_on_one_ledger_share_the_cap(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        running(valkey_program(), *DURABLE) as redis,
        gateway(tmp_path / "one" / "state", "--redis", redis.url) as one,
        gateway(tmp_path / "two" / "state", "--redis", redis.url) as two,
        origin(http_talk) as server,
    ):
        one.run("cap", "set", "this-machine", "10MB/day")
        first = curl(one, f"{server.url}/{6 * MB}")
        assert first.volume == 6 * MB
        one.rest()
        second = curl(two, f"{server.url}/{20 * MB}")
        assert first.volume + second.volume <= 10 * MB + 64 * 1024


# -- one is not disturbed by another -----------------------------------------------------------


def test_a_cap_is_raised_and_cleared_in_mid_download_without_a_disconnect(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "60MB/day")
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{20 * MB}", rate="10M")
        assert within(10, lambda: fresh.used() > 0)
        for change in (("set", "this-machine", "100MB/day"), ("clear", "this-machine")):
            fresh.run("cap", *change)
        got = read_report(client.wait(30), client.stdout.read())  # type: ignore[union-attr]
    assert (got.code, got.volume) == (0, 20 * MB)


def test_a_ledger_that_hangs_does_not_stop_a_flow_with_budget(fresh: Gateway) -> None:
    with origin(echo_talk) as server:
        client = tunnel(fresh, server.port)
        read_until(client, b"\r\n\r\n")
        pid = int((fresh.state / "redis" / "valkey.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(50):
                client.sendall(b"ping")
                assert read_until(client, b"ping") == b"ping"
        finally:
            os.kill(pid, signal.SIGCONT)
            client.close()


def test_a_backup_is_restored_right_after_the_gateway_was_stopped(tmp_path: Path) -> None:
    backup = tmp_path / "trip"
    with (
        running(valkey_program(), *DURABLE) as server,
        gateway(tmp_path / "state", "--redis", server.url) as one,
    ):
        one.run("backup", str(backup))
        assert one.stop() == 0
        one.run("restore", str(backup))
