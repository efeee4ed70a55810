"""The demo, run as a new user runs it: every device has counts, and at its end nothing is left."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from demo.family import DAY, DEVICES, Activity, doing
from tests.lab.lab import needs_lab
from tripgate import catalogue
from tripgate.core.names import clean_host

ROOT = Path(__file__).parents[2]
PREFIX = "tgi"
SHOWN = r"(?m)^\d\d:\d\d  "
PATIENCE_S = 120.0
pytestmark = pytest.mark.timeout(400)


def namespaces(one: "Running") -> set[str]:
    """Those of a demo; other tests may have labs of their own meanwhile."""
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    names = (line.split()[0] for line in done.stdout.splitlines())
    return {name for name in names if name.startswith(f"{PREFIX}{one.process.pid}-")}


class Running:
    """A demo, its output and its addresses."""

    def __init__(self, log: Path) -> None:
        argv = [sys.executable, "-m", "demo", "--minutes", "2", "--prefix", PREFIX]
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'addons'}"}
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=out, stderr=out)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until the output has ``pattern``."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text()):
                return found
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"not in the output: {pattern}\n{self.log.read_text()}")

    @property
    def state(self) -> Path:
        return Path(self.until(r"TRIPGATE_STATE=(\S+)")[1])

    def url(self, what: str) -> str:
        return self.until(rf"(http://localhost:\d+/)\S*\s+{what}")[1]

    def used(self) -> dict[str, int]:
        """Bytes of every device, as the command line has them."""
        argv = [sys.executable, "-m", "tripgate", "usage", "--by", "device", "--json"]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "addons"), "TRIPGATE_STATE": str(self.state)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
        return {row["device"]: row["total"] for row in json.loads(done.stdout)["rows"]}

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def demo(folder: Path) -> Iterator[Running]:
    needs_lab()
    one = Running(folder / "demo.log")
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with demo(tmp_path_factory.mktemp("demo")) as one:
        one.until(SHOWN)
        yield one


def test_every_device_has_counts(living: Running) -> None:
    names = {one.name for one in DEVICES}
    deadline = time.monotonic() + PATIENCE_S
    while not all(living.used().get(name) for name in names):
        assert time.monotonic() < deadline, living.used()
        time.sleep(0.5)


def test_the_portal_knows_whose_door_it_is(living: Running) -> None:
    for one in DEVICES:
        page = httpx.get(living.url(f"portal, as {one.name} sees it")).text
        assert one.name in page


def test_prometheus_scrapes_the_gateway(living: Running) -> None:
    url = living.url("Prometheus")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = httpx.get(f"{url}api/v1/query", params={"query": "tripgate_traffic_bytes_total"})
        if answer.json()["data"]["result"]:
            return
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.5)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_ends_it_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as one:
        one.until(SHOWN)
        state = one.state
        assert len(namespaces(one)) == len(DEVICES) + 4
        assert one.end(number) == 0
    assert namespaces(one) == set()
    assert not state.parent.exists()


@pytest.mark.slow
def test_a_gateway_that_ends_ends_the_demo_and_nothing_is_left(tmp_path: Path) -> None:
    with demo(tmp_path) as one:
        one.until(SHOWN)
        gateway = next(name for name in namespaces(one) if name.endswith("-gw"))
        argv = ["ip", "netns", "pids", gateway]
        found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
        started = {pid: _fields(pid)[19] for pid in found}
        for pid in found:
            if b"\0up\0--mode\0router\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)
        assert one.process.wait(PATIENCE_S) == 1
        one_line = one.log.read_text()
    assert "demo: gateway ended with -9" in one_line
    assert namespaces(one) == set()
    assert not [pid for pid in found if _lives(pid, started[pid])]


def _lives(pid: str, started: str) -> bool:
    """Whether the process is still there, and no other that has its number now."""
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = _fields(pid)
        return fields[0] != "Z" and fields[19] == started
    return False


def _fields(pid: str) -> list[str]:
    """proc(5), ``stat``, from the state on: the first is the state, the 20th the time of start."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def test_a_door_is_on_loopback_only(living: Running) -> None:
    port = httpx.URL(living.url("portal, as annas-phone sees it")).port
    assert port
    own = subprocess.run(
        ["hostname", "-I"], capture_output=True, text=True, check=True
    ).stdout.split()
    for address in own:
        with pytest.raises(OSError), socket.create_connection((address, port), 1):
            pass


@pytest.mark.parametrize("one", [one for one in DAY if one.kind == "tls"], ids=lambda one: one.what)
def test_hosts_are_of_the_catalogue(one: Activity, tmp_path: Path) -> None:
    host = clean_host(one.host)
    assert host
    assert catalogue.load(tmp_path).classify(host).name != "unknown"


@pytest.mark.parametrize("hour", range(24))
def test_at_every_hour_somebody_does_something(hour: int) -> None:
    assert any(doing(one.name, hour) for one in DEVICES)
