"""The programs of the demo: a real gateway, its command line, Prometheus, Grafana where installed.

Rules
1. The gateway is started as a person would: ``tripgate up --mode router``, in its namespace, with
   a state folder that ends with the demo.
2. A program that ends before its time ends the demo, with the end of its log.
3. Programs end in the order opposite to their start; the gateway by SIGTERM, so that it puts back
   what it changed.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from demo.family import DEVICES, OWNER
from tests.lab.lab import Lab, device_mac

ROOT = Path(__file__).parents[1]
PROMETHEUS, GRAFANA, METRICS = 9090, 3000, 9108
START_S = 90.0
STOP_S = 15.0
TAIL = 2000

SCRAPE = """\
global: {scrape_interval: 2s, scrape_timeout: 1s, evaluation_interval: 5s}
rule_files: ["RULES/*.yml"]
scrape_configs:
  - job_name: tripgate
    static_configs: [{targets: ["127.0.0.1:9108"]}]
"""


class DemoError(Exception):
    """The demo cannot go on. One line, or a line and the end of a log."""


def environment() -> dict[str, str]:
    """Of the gateway and its command line; the demo answers for the clock of this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TRIPGATE_")}
    return {**own, "PYTHONPATH": str(ROOT / "addons"), "TRIPGATE_CLOCK_TRUST": "host"}


class House:
    """The lab's gateway namespace and what runs there."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.state = folder / "state"
        self._running: list[tuple[str, subprocess.Popen[str]]] = []

    # -- programs -----------------------------------------------------------------------------

    @asynccontextmanager
    async def program(
        self, name: str, argv: list[str], env: dict[str, str] | None = None
    ) -> AsyncIterator[None]:
        """Run ``argv`` in the gateway's namespace; its output goes to a log."""
        with self._log(name).open("w") as log:
            process = self.lab.spawn(self.lab.gateway, argv, stdout=log, stderr=log, env=env)
        self._running.append((name, process))
        try:
            yield
        finally:
            self._running.remove((name, process))
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def check(self) -> None:
        """Raises :class:`DemoError` if a program has ended."""
        for name, process in self._running:
            if process.poll() is not None:
                log = self._log(name).read_text(errors="replace")[-TAIL:]
                raise DemoError(f"{name} ended with {process.returncode}:\n{log}")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait for ``true``; a program that ends, or too long a wait, is a :class:`DemoError`."""
        for _ in range(int(START_S / 0.2)):
            self.check()
            if await asyncio.to_thread(true):
                return
            await asyncio.sleep(0.2)
        raise DemoError(f"not within {START_S:.0f} s: {what}")

    def _listens(self, port: int) -> bool:
        with (
            self.lab.inside(self.lab.gateway),
            suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 0.5),
        ):
            return True
        return False

    # -- the gateway ----------------------------------------------------------------------------

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[None]:
        """A running gateway in the router mode."""
        argv = [
            *(sys.executable, "-m", "tripgate", "up", "--mode", "router"),
            *("--lan", "lan0", "--uplink", "wan0", "--state", str(self.state)),
        ]
        async with self.program("gateway", argv, environment()):
            await self.until(lambda: self.cli("status").returncode == 0, "the gateway's answer")
            yield

    def cli(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """``tripgate WORDS``, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tripgate", *words, "--state", str(self.state)],
            env=environment(), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def told(self, *words: str) -> str:
        """A command that must succeed; what it printed."""
        done = self.cli(*words)
        if done.returncode:
            raise DemoError(f"tripgate {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def read(self, *words: str) -> Any:
        """The JSON document of a command."""
        return json.loads(self.told(*words, "--json"))

    async def move_in(self) -> None:
        """The owner lets the family's devices in by their hardware addresses, names them, and
        sets plan, caps and policies."""
        found: dict[str, str] = {}

        def all_seen() -> bool:
            found.update({one["mac"]: one["id"] for one in self.read("device", "list")})
            return all(device_mac(n) in found for n in range(1, len(DEVICES) + 1))

        await self.until(all_seen, "all devices seen by the gateway")
        for person in dict.fromkeys(one.person for one in DEVICES):
            self.told("person", "add", person)
        for number, one in enumerate(DEVICES, 1):
            self.told("device", "name", found[device_mac(number)], one.name)
            self.told("device", "approve", one.name, "--person", one.person)
        for words in OWNER:
            self.told(*words.split())

    # -- what watches -----------------------------------------------------------------------------

    @asynccontextmanager
    async def prometheus(self) -> AsyncIterator[bool]:
        """Prometheus with the repository's rules, if it is installed; yields whether it is."""
        if not shutil.which("prometheus"):
            yield False
            return
        config = self.folder / "prometheus.yml"
        config.write_text(SCRAPE.replace("RULES", str(ROOT / "deploy/prometheus/rules")))
        argv = [
            *("prometheus", f"--config.file={config}"),
            *(f"--storage.tsdb.path={self.folder / 'tsdb'}", "--storage.tsdb.retention.size=64MB"),
            f"--web.listen-address=127.0.0.1:{PROMETHEUS}",
        ]
        async with self.program("prometheus", argv):
            await self.until(lambda: self._listens(PROMETHEUS), "Prometheus")
            yield True

    @asynccontextmanager
    async def grafana(self) -> AsyncIterator[bool]:
        """Grafana with the repository's dashboards, if it is installed; yields whether it is."""
        home = Path("/usr/share/grafana")
        if not shutil.which("grafana") or not home.is_dir():
            yield False
            return
        env = {
            **os.environ,
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(GRAFANA),
            "GF_PATHS_DATA": str(self.folder / "grafana"),
            "GF_PATHS_LOGS": str(self.folder / "grafana"),
            "GF_PATHS_PROVISIONING": str(ROOT / "deploy/grafana/provisioning"),
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "TRIPGATE_DASHBOARDS": str(ROOT / "grafana/dashboards"),
            "TRIPGATE_PROMETHEUS_URL": f"http://127.0.0.1:{PROMETHEUS}",
        }
        async with self.program("grafana", ["grafana", "server", "--homepath", str(home)], env):
            await self.until(lambda: self._listens(GRAFANA), "Grafana")
            yield True
