"""A stock Prometheus (Debian's) as a child process, and its HTTP API."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.running import free_port

START_S = 30.0
STOP_S = 10.0
WAIT_S = 30.0

CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: {rules}
scrape_configs:
  - job_name: tripgate
    static_configs: [{{targets: ["127.0.0.1:{metrics}"]}}]
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{own}"]}}]
"""


@dataclass
class Prometheus:
    """Its address; queries go to the real engine."""

    port: int

    def api(self, path: str, **params: str) -> Any:
        """The ``data`` of an answer; a query that the engine refuses is an error here."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        answer = httpx.get(url, params=params, timeout=10).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        data = self.api("query", query=expr)
        return data["result"] if data["resultType"] != "scalar" else [data["result"]]

    def value(self, expr: str) -> float | None:
        """The value of a query that has one series."""
        found = self.query(expr)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def wait(self, expr: str) -> list[dict[str, Any]]:
        """Query until there is an answer."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if found := self.query(expr):
                return found
            time.sleep(0.1)
        raise AssertionError(f"no data within {WAIT_S} s: {expr}")


@contextlib.contextmanager
def prometheus(folder: Path, metrics: int, rules: list[str] | None = None) -> Iterator[Prometheus]:
    """Scrape the gateway's port ``metrics`` four times a second; ``rules``: files."""
    one = Prometheus(free_port())
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(CONFIG.format(metrics=metrics, own=one.port, rules=rules or []))
    with log.open("w") as out:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{one.port}", "--storage.tsdb.retention.size=64MB"],
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while not _ready(one.port):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.05)
        yield one
    finally:
        process.terminate()
        process.wait(STOP_S)


def _ready(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200
    return False
