"""Doctor: what keeps the gateway from working, and how to mend it."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tests.servers import DURABLE, running, valkey_program
from tripgate import lastrun
from tripgate.cli.doctor import router, software, sysctls
from tripgate.cli.doctor.finding import ok
from tripgate.lastrun import LastRun, this_boot
from tripgate.statefolder import StateFolder

OPTIONS = ("listen", "socks", "portal", "metrics")


@pytest.fixture(autouse=True)
def free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings whose ports nobody else on this machine uses."""
    with contextlib.ExitStack() as held:
        for name in OPTIONS:
            sock = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            monkeypatch.setenv(f"TRIPGATE_{name.upper()}", f"127.0.0.1:{sock.getsockname()[1]}")


@pytest.fixture
def durable(world: World) -> Iterator[World]:
    """A world whose ledger is on the disk, as it should be."""
    with redis.Redis.from_url(world.url) as client:
        client.config_set("appendonly", "yes")
        yield world
        client.config_set("appendonly", "no")


def found(world: World, check: str, code: int) -> dict[str, Any]:
    """One finding of the report; every finding but a good one says how to mend it."""
    done = world.cli("doctor", "--json")
    assert (done.code, done.err) == (code, "")
    report = json.loads(done.out)
    assert report["ok"] is (code == 0)
    assert all(bool(one["mend"]) is (one["result"] != "ok") for one in report["checks"])
    (one,) = (one for one in report["checks"] if one["check"] == check)
    return dict(one)


def test_a_machine_where_no_gateway_ever_ran_is_fit(empty: World) -> None:
    assert "is made at the first start" in found(empty, "folder", 0)["detail"]
    assert found(empty, "gateway", 0)["detail"] == "not running"
    assert found(empty, "redis", 0)["detail"].startswith("the embedded server starts with")


def test_people_read_what_to_do(empty: World) -> None:
    empty.state.mkdir()
    empty.state.chmod(0o755)
    assert f"→ chmod o= {empty.state}" in empty.cli("doctor").out


def test_a_running_gateway_is_seen(durable: World) -> None:
    with gateway(durable.state):
        assert found(durable, "gateway", 0)["detail"] == "runs, version 0.1.0"
        assert found(durable, "clock", 0)["result"] in ("ok", "warn")


def test_a_gateway_without_its_ledger_is_a_failure(durable: World) -> None:
    with gateway(durable.state, ledger="down"):
        assert "nothing passes" in found(durable, "gateway", 1)["detail"]


def test_a_gateway_that_does_not_answer_is_a_failure(durable: World) -> None:
    with StateFolder(durable.state).locked():
        assert found(durable, "gateway", 1)["detail"] == "runs and does not answer"


def router_run(**changed: Any) -> LastRun:
    """A router that was killed a moment ago."""
    listens = {"listen": "off", "socks": "off"}
    return replace(LastRun("router", this_boot(), listens, "lan9", "up9", trust="host"), **changed)


@pytest.mark.parametrize(
    ("run", "code", "says"),
    [
        (router_run(), 1, "the gateway ended uncleanly, the LAN is closed"),
        (router_run(services="system", ended=True), 0, "the gateway stopped, the LAN is closed"),
        (router_run(ended=True), 0, "not running"),
        (router_run(boot="before", ended=True), 0, "not running"),
        (LastRun("explicit", this_boot()), 0, "not running; it ended uncleanly"),
    ],
)
def test_what_the_last_gateway_left_is_told(
    empty: World, run: LastRun, code: int, says: str
) -> None:
    leave(empty.state, run)
    report = json.loads(empty.cli("doctor", "--json").out)["checks"]
    (one,) = (one for one in report if one["check"] == "gateway")
    assert one["detail"].startswith(says)
    assert (one["result"] == "fail") is (code == 1)


def test_after_router_remove_nothing_is_closed(empty: World) -> None:
    leave(empty.state, router_run(services="system"))
    lastrun.end(StateFolder(empty.state), opened=True)
    assert found(empty, "gateway", 0)["detail"] == "not running"


def test_the_last_start_is_looked_at_and_not_the_defaults(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in OPTIONS:
        monkeypatch.delenv(f"TRIPGATE_{name.upper()}")
    leave(empty.state, router_run(ended=True))
    report = json.loads(empty.cli("doctor", "--json").out)["checks"]
    told = {one["check"]: one["detail"] for one in report}
    assert (told["port listen"], told["port socks"]) == ("off", "off")
    assert told["settings"].endswith("as the gateway was last started (router)")
    assert "not synchronised" not in told["clock"]


def test_a_damaged_note_of_the_last_start_is_none(empty: World) -> None:
    leave(empty.state, router_run())
    for text in ("", "[]", "{}", '{"mode": 1, "boot": "b"}', "[" * 9000):
        (empty.state / lastrun.FILE).write_text(text)
        assert lastrun.read(StateFolder(empty.state)) is None


def leave(state: Path, run: LastRun) -> None:
    """As a gateway left it."""
    StateFolder(state).create()
    lastrun.write(StateFolder(state), run)


@pytest.mark.parametrize(
    ("links", "result"),
    [(("down",), "fail"), (("down", "up"), "warn"), (("down", "down"), "fail"), (("up",), "ok")],
)
def test_an_uplink_that_is_down_is_named(
    durable: World, links: tuple[str, ...], result: str
) -> None:
    uplinks = {f"up{number}": {"link": link} for number, link in enumerate(links)}
    with gateway(durable.state, uplinks=uplinks):
        one = found(durable, "uplink", 1 if result == "fail" else 0)
    assert one["result"] == result
    assert ("no carrier or default route" in one["detail"]) is (result != "ok")


@pytest.mark.parametrize("option", OPTIONS)
def test_a_port_that_is_taken_names_the_option(empty: World, option: str) -> None:
    at = os.environ[f"TRIPGATE_{option.upper()}"]
    with socket.create_server(("127.0.0.1", int(at.rpartition(":")[2]))):
        one = found(empty, f"port {option}", 1)
    assert one["detail"] == f"{at} is taken"
    assert f"--{option}" in one["mend"]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_running_gateway_s_own_ports_are_looked_at_and_not_the_settings(
    durable: World, option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        at = f"127.0.0.1:{own.getsockname()[1]}"
        threading.Thread(target=speak, args=(own,), daemon=True).start()
        with gateway(durable.state, listens={option: at}):
            assert found(durable, f"port {option}", 0)["detail"] == f"{at} answers"


def speak(server: socket.socket) -> None:
    """Answer one question of doctor's, as HTTP or SOCKS."""
    connection, _ = server.accept()
    with connection:
        question = connection.recv(100)
        connection.sendall(b"\x05\x00" if question[0] == 5 else b"HTTP/1.1 200 OK\r\n\r\n")


def test_ports_that_a_gateway_says_oddly_are_the_settings(durable: World) -> None:
    with gateway(durable.state, listens={"listen": "nonsense", "ssh": ":22", "socks": None}):
        assert found(durable, "port listen", 0)["detail"].startswith(os.environ["TRIPGATE_LISTEN"])


# -- the router mode ---------------------------------------------------------------------------


def test_the_programs_of_the_router_mode_are_named_with_their_packages(
    durable: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with gateway(durable.state, mode="router", lan="lan0"):
        monkeypatch.setenv("PATH", str(tmp_path))
        one = found(durable, "programs", 1)
    assert one["mend"] == "apt install nftables iproute2 dnsmasq-base"


@pytest.mark.skipif(os.geteuid() != 0, reason="routing rules are root's to read")
def test_a_guard_that_is_gone_is_a_failure(durable: World) -> None:
    with gateway(durable.state, mode="router", lan="no-such-link"):
        assert "routing rules for no-such-link" in found(durable, "guard", 1)["detail"]


def test_the_explicit_mode_is_not_asked_for_a_router_s_parts(durable: World) -> None:
    with gateway(durable.state):
        report = json.loads(durable.cli("doctor", "--json").out)
    assert not {"programs", "guard", "marks"} & {one["check"] for one in report["checks"]}


RULESET = """
table inet tripgate {
	chain a {
		ct mark set 0x1
	}
}
table ip mangle {
	chain vpn {
		meta mark set 0xca6c
	}
}
table ip nat {
	chain a {
		meta mark 0x1 masquerade
	}
}
"""


def test_other_tables_that_set_marks_are_named_and_ours_are_not() -> None:
    assert router.tables(RULESET) == ["table ip mangle"]


def test_settings_that_are_wrong_are_told(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_LISTEN", "nonsense")
    assert "TRIPGATE_LISTEN 'nonsense'" in found(empty, "settings", 1)["detail"]


def test_a_clock_that_the_owner_vouches_for_is_fine(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPGATE_CLOCK__TRUST", "host")
    assert found(empty, "clock", 0)["result"] == "ok"


# -- the ledger's server -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "check", "code", "detail"),
    [
        (("appendonly", "no"), "persistence", 1, "the append-only file is off"),
        (("appendonly", "yes"), "persistence", 0, "append-only file"),
        (("maxmemory-policy", "allkeys-lru"), "redis", 1, "would evict counters"),
        (("maxmemory", "1200000"), "memory", 0, "used"),
    ],
)
def test_the_redis_that_is_named_is_looked_at(
    empty: World,
    monkeypatch: pytest.MonkeyPatch,
    setting: tuple[str, str],
    check: str,
    code: int,
    detail: str,
) -> None:
    with running(valkey_program(), *DURABLE, "--maxmemory", "500mb") as server:
        with server.client() as client:
            client.config_set(*setting)
        monkeypatch.setenv("TRIPGATE_REDIS", server.url)
        assert detail in found(empty, check, code)["detail"]


@pytest.mark.parametrize(
    ("default", "result"),
    [
        ("on nopass ~* &* +@all", "warn"),
        ("off resetpass ~* &* +@all", "ok"),
        ("on nopass -@all", "ok"),
    ],
)
def test_a_redis_that_answers_anybody_is_a_warning(
    empty: World, monkeypatch: pytest.MonkeyPatch, default: str, result: str
) -> None:
    with running(valkey_program(), *DURABLE) as server:
        with server.client() as client:
            client.execute_command("ACL SETUSER ana on >hunter2 ~* &* +@all")
            client.execute_command(f"ACL SETUSER default {default}")
        url = server.url.replace("unix://", "unix://ana:hunter2@")
        monkeypatch.setenv("TRIPGATE_REDIS", url)
        one = found(empty, "redis", 0)
        assert (one["result"], "no password" in one["detail"]) == (result, result == "warn")
        assert "hunter2" not in empty.cli("doctor").out


def test_a_redis_without_users_is_a_warning(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(valkey_program(), *DURABLE) as server:
        monkeypatch.setenv("TRIPGATE_REDIS", server.url)
        assert found(empty, "redis", 0)["result"] == "warn"


@pytest.mark.parametrize("who", ["", "tripgate:x@"])
def test_the_embedded_server_of_a_gateway_that_does_not_run_is_no_failure(
    empty: World, who: str
) -> None:
    folder = StateFolder(empty.state)
    folder.create()
    folder.write_redis_url(f"unix://{who}{quote(str(folder.redis_socket))}")
    assert found(empty, "redis", 0)["detail"] == "the embedded server starts with the gateway"


def test_a_redis_that_is_not_there_is_a_failure(
    empty: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIPGATE_REDIS", f"unix://{tmp_path}/none")
    assert str(tmp_path / "none") in found(empty, "redis", 1)["detail"]


# -- the folder --------------------------------------------------------------------------------


def test_a_folder_open_to_everybody_is_a_warning(durable: World) -> None:
    durable.state.chmod(0o755)
    one = found(durable, "folder", 0)
    assert (one["result"], one["mend"]) == ("warn", f"chmod o= {durable.state}")


def test_a_damaged_journal_is_a_warning(durable: World) -> None:
    StateFolder(durable.state).journal.write_bytes(b"tripgate\nnot a record\n" * 3)
    assert "damaged" in found(durable, "journal", 0)["detail"]


# -- the packages ------------------------------------------------------------------------------


def test_the_packages_of_this_environment_are_what_tripgate_declares() -> None:
    one = software.judge(software.declared())
    assert one.result == "ok"
    assert "mitmproxy " in one.detail


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        ("no-such-package>=1", "no-such-package is missing"),
        ("redis>=999", "needed >=999"),
    ],
)
def test_a_package_that_is_missing_or_old_is_named(needed: str, said: str) -> None:
    one = software.judge([needed, "rich"])
    assert (one.result, said in one.detail) == ("fail", True)


def test_a_package_for_another_system_is_not_needed() -> None:
    assert software.judge(["no-such-package; sys_platform == 'plan9'"]).result == "ok"


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 3", "ends with code 3"), ("echo Valkey 9", None)],
)
async def test_the_embedded_servers_program_is_tried(
    tmp_path: Path, script: str, said: str | None
) -> None:
    program = tmp_path / "server"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    one = await software.run_version(program)
    assert one.result == ("fail" if said else "ok")
    assert (said or "Valkey 9") in one.detail
    missing = await software.run_version(tmp_path / "none")
    assert "does not start" in missing.detail


# -- the router mode ---------------------------------------------------------------------------


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "ip_forward").write_text("0\n")
    (tmp_path / "accept_ra").write_text("2\n")
    return tmp_path


def test_sysctls_that_are_as_a_router_needs_them_are_fine(proc: Path) -> None:
    one = sysctls.judge({"ip_forward": "0", "accept_ra": "2"}, proc)
    assert (one.result, one.detail) == ("ok", "as a router needs them")


def test_a_sysctl_that_the_gateway_can_set_is_fine(proc: Path) -> None:
    one = sysctls.judge({"ip_forward": "1", "accept_ra": "2"}, proc)
    assert (one.result, one.detail) == ("ok", "set at the start: ip_forward")


def test_a_sysctl_that_only_the_host_can_set_is_named(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as on a read-only mount
    one = sysctls.judge({"ip_forward": "1", "accept_ra": "2"}, proc)
    assert (one.result, one.detail) == ("fail", "ip_forward is 0, needed 1")
    assert "sysctl -w ip_forward=1 (" in one.mend


def test_the_router_mode_asks_for_forwarding(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_MODE", "router")
    monkeypatch.setenv("TRIPGATE_LAN", "lan0")
    monkeypatch.setattr(sysctls, "judge", lambda needed: ok("sysctls", " ".join(needed)))
    assert "net/ipv4/ip_forward" in found(empty, "sysctls", 0)["detail"]


def test_the_explicit_mode_needs_no_sysctl(empty: World) -> None:
    report = json.loads(empty.cli("doctor", "--json").out)
    assert not [one for one in report["checks"] if one["check"] == "sysctls"]
