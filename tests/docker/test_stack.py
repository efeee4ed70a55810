"""compose.yaml on a real Docker daemon: up, metered, watched, killed, down."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import FILM
from tests.docker.daemon import Daemon, until
from tests.docker.network import DEVICE, HOST_LAN, ORIGIN, inside
from tests.lab import netns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SERVICES = ("gateway", "redis", "prometheus", "alertmanager")
HEAD_MOST = 1024  # of the answer, beside the film
RESTART_S = 60.0
SCRAPE_S = 45.0  # three rounds
CALL_S = 60


def download(stack: Daemon) -> tuple[str, int]:
    """The device asks for the film through the gateway: status, and bytes of the body."""
    proxy = ["--proxy", f"http://{HOST_LAN}:8080", "--output", "/dev/null", "--silent"]
    written = ["--write-out", "%{http_code} %{size_download}"]
    done = subprocess.run(
        inside(stack.network.device, ["curl", *proxy, *written, f"http://{ORIGIN}:8000/film"]),
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=True,
    )
    status, size = done.stdout.split()
    return status, int(size)


def device(stack: Daemon) -> dict[str, Any]:
    """The device as the gateway knows it."""
    listed = json.loads(stack.tripgate("device", "list", "--json"))
    (found,) = (one for one in listed if DEVICE in (one["ip"], *one["ips"]))
    return dict(found)


def down(stack: Daemon) -> int:
    """Bytes down that the device is charged with."""
    rows = json.loads(stack.tripgate("usage", "--by", "device", "--json"))["rows"]
    name = device(stack)["id"]
    return sum(row["down"] for row in rows if row["id"] == name)


@pytest.fixture(scope="module")
def metered(stack: Daemon) -> Daemon:
    """The device was let in and has seen the film."""
    assert download(stack)[0] == "511"
    stack.tripgate("device", "approve", device(stack)["id"])
    assert download(stack) == ("200", FILM)
    until(lambda: down(stack) >= FILM, SCRAPE_S, lambda: "the film was not metered")
    return stack


@pytest.mark.parametrize("service", SERVICES)
def test_up_waits_until_it_is_healthy(stack: Daemon, service: str) -> None:
    assert stack.inspect(service, "{{.State.Health.Status}}") == "healthy"


def test_a_device_that_nobody_knows_gets_nothing(stack: Daemon) -> None:
    status, size = download(stack)
    assert (status, size < FILM // 10) == ("511", True)


def test_a_device_is_metered_through_the_container(metered: Daemon) -> None:
    assert FILM < down(metered) <= FILM + HEAD_MOST


def test_prometheus_sees_the_gateway_and_its_counts(metered: Daemon) -> None:
    query = f'sum(tripgate_traffic_bytes_total{{direction="down"}}) > {FILM}'
    ask = ("promtool", "query", "instant", "http://127.0.0.1:9090")
    for wanted in ('up{job="tripgate"} == 1', query):
        until(
            lambda: metered.compose("exec", "-T", "prometheus", *ask, wanted).strip(),  # noqa: B023
            SCRAPE_S,
            lambda: f"not in Prometheus: {wanted}",  # noqa: B023
        )


def test_the_portal_answers_at_the_hosts_address(stack: Daemon) -> None:
    done = subprocess.run(
        inside(stack.network.device, ["curl", "--silent", f"http://{HOST_LAN}:8088/"]),
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=True,
    )
    assert "<html" in done.stdout


@pytest.mark.parametrize("service", ["gateway", "redis"])
def test_a_killed_container_comes_back_with_its_counts(metered: Daemon, service: str) -> None:
    before, restarts = down(metered), int(metered.inspect(service, "{{.RestartCount}}"))
    metered.run("sh", "-c", f"kill -KILL {int(metered.inspect(service, '{{.State.Pid}}'))}")
    until(
        lambda: int(metered.inspect(service, "{{.RestartCount}}")) > restarts,
        RESTART_S,
        lambda: f"{service} was not started again",
    )
    metered.compose("up", "--detach", "--wait")
    assert down(metered) == before
    assert download(metered) == ("200", FILM)


# -- what is closed ----------------------------------------------------------------------------


def answers(stack: Daemon, address: str, port: int) -> bool:
    """Does a connection from the device come about?"""
    before = netns.enter(stack.network.device)
    try:
        socket.create_connection((address, port), 2).close()
    except OSError:
        return False
    finally:
        netns.leave(before)
    return True


def test_only_proxy_and_portal_answer_the_lan(stack: Daemon) -> None:
    ports = (1080, 3000, 6379, 8080, 8088, 9090, 9093, 9094, 9108)
    assert [port for port in ports if answers(stack, HOST_LAN, port)] == [1080, 8080, 8088]


@pytest.mark.parametrize(
    ("service", "port"), [("gateway", 9108), ("prometheus", 9090), ("alertmanager", 9093)]
)
def test_a_container_is_not_reached_past_the_host(stack: Daemon, service: str, port: int) -> None:
    networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    addresses = stack.inspect(service, networks).split()
    assert addresses
    assert not any(answers(stack, address, port) for address in addresses)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_rights(stack: Daemon, service: str) -> None:
    read = stack.compose("exec", "-T", service, "cat", "/proc/1/status").splitlines()
    status = dict(line.split(":\t", 1) for line in read if ":\t" in line)
    assert status["Uid"].split()[0] != "0"
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", SERVICES)
def test_a_root_is_read_only(stack: Daemon, service: str) -> None:
    mounts = stack.compose("exec", "-T", service, "cat", "/proc/mounts").splitlines()
    (options,) = (line.split()[3] for line in mounts if line.split()[1] == "/")
    assert options.split(",")[0] == "ro"


def test_redis_answers_nobody_without_a_name(stack: Daemon) -> None:
    ask = ("docker", "compose", "exec", "-T", "redis", "redis-cli", "-s", "/run/redis/redis.sock")
    assert "NOAUTH" in stack.call(*ask, "GET", "{plan}:book").stdout


def test_no_secret_is_in_a_listing(stack: Daemon) -> None:
    folder = stack.checkout / "deploy/compose/secrets"
    url = (folder / "gateway.toml").read_text()
    secrets = [
        url.split("tripgate:", 1)[1].split("@")[0],
        (folder / "grafana-password").read_text(),
    ]
    containers = stack.compose("ps", "-a", "-q").split()
    shown = stack.run("docker", "inspect", *containers)
    shown += stack.run("docker", "image", "inspect", "tripgate:0.1.0")
    for process in Path("/proc").glob("[0-9]*"):
        shown += _read(process / "cmdline") + _read(process / "environ")
    assert all(len(secret) > 16 and secret not in shown for secret in secrets)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # it has ended


@pytest.mark.parametrize("tool", ["gcc", "make", "pip", "pip3", "uv"])
def test_no_build_tool_is_in_the_image(stack: Daemon, tool: str) -> None:
    look = f"command -v {tool} || python -c 'import {tool}' || echo not there"
    assert stack.compose("exec", "-T", "gateway", "sh", "-c", look).strip() == "not there"


# -- with what the gateway may do in Redis -----------------------------------------------------


def test_doctor_finds_nothing_that_fails(stack: Daemon) -> None:
    assert json.loads(stack.tripgate("doctor", "--json"))["ok"]


def test_a_backup_can_be_made(metered: Daemon) -> None:
    metered.tripgate("backup", "/tmp/backup")
    assert int(metered.compose("exec", "-T", "gateway", "stat", "-c", "%s", "/tmp/backup"))


# -- the router mode ---------------------------------------------------------------------------


def sysctls(stack: Daemon) -> dict[str, Any]:
    """What doctor finds in the router's container."""
    run = ("run", "--rm", "-T", "--no-deps", "router", "doctor", "--json")
    done = stack.call("docker", "compose", "--profile", "router", *run)
    (found,) = (one for one in json.loads(done.stdout)["checks"] if one["check"] == "sysctls")
    return dict(found)


def test_the_router_names_the_sysctls_that_the_host_must_set(stack: Daemon) -> None:
    one = sysctls(stack)
    assert (one["result"], one["detail"]) == (
        "fail",
        "net/ipv6/conf/wan/accept_ra is 1, needed 2; net/ipv4/tcp_fwmark_accept is 0, needed 1",
    )
    command = one["mend"].partition(": ")[2].partition(" (")[0].split()
    subprocess.run(inside(stack.network.host, command), check=True, capture_output=True)
    assert sysctls(stack)["result"] == "ok"


def test_with_its_variables_the_router_runs_instead_of_the_gateway(stack: Daemon) -> None:
    shown = stack.compose("--env-file", "deploy/compose/router.env", "config", "--format", "json")
    services = json.loads(shown)["services"]
    assert (services["gateway"]["scale"], services["router"].get("scale", 1)) == (0, 1)
    sources = {one["target"]: one["source"] for one in services["prometheus"]["volumes"]}
    assert sources["/etc/prometheus/targets.yml"].endswith("/targets/router.yml")


def test_the_router_runs_in_a_container_and_takes_its_rules_back(metered: Daemon) -> None:
    """After :func:`test_the_router_names_the_sysctls_that_the_host_must_set`, which sets them."""
    env = ("--env-file", "tests/docker/router.env")
    metered.compose("stop", "gateway")  # it has the portal's port
    metered.compose(*env, "up", "--detach", "--wait", "router")
    assert metered.inspect("router", "{{.State.Health.Status}}") == "healthy"
    assert guarded(metered)
    metered.compose(*env, "stop", "router")
    assert not guarded(metered)


def guarded(stack: Daemon) -> bool:
    """Does the routing guard stand in the host's network?"""
    return "iif lan prohibit" in stack.run("ip", "rule")


# -- the end -----------------------------------------------------------------------------------


def test_down_leaves_nothing(metered: Daemon) -> None:
    metered.compose("--profile", "router", "down", "--volumes")
    for what in (("ps", "-a"), ("volume", "ls")):
        assert metered.run("docker", *what, "-q") == ""
    networks = metered.run("docker", "network", "ls", "--format", "{{.Name}}").split()
    assert sorted(networks) == ["bridge", "host", "none"]
    rules = metered.run("iptables-save")
    assert not [line for line in rules.splitlines() if "172.31.77." in line or "8080" in line]
