"""A real gateway as a child process, and what its CLI says."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

ADDONS = Path(__file__).parent.parent / "addons"
SCRIPT = ADDONS / "gateway.py"
START_S = 20.0
STOP_S = 10.0
QUIET_S = 1.0


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = iter(range(20_000 + 5_000 * _WORKER, 25_000 + 5_000 * _WORKER))


def free_port() -> int:
    """A port that nobody listens on, never the same twice: of this worker's own range, below those
    that the kernel gives to clients, so that nobody takes it before it is used."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            return port
    raise AssertionError("no port is free")


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: this checkout's package, a clock that counts as trusted."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("TRIPGATE_")}
    return {**own, "PYTHONPATH": str(ADDONS), "TRIPGATE_CLOCK__TRUST": "host", **more}


@dataclass
class Gateway:
    """A gateway of one test: its addresses, its process, its CLI."""

    state: Path
    proxy: int = field(default_factory=free_port)
    socks: int = field(default_factory=free_port)
    portal: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> Path:
        return self.state.parent / "gateway.log"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "tripgate", "up", "--state", str(self.state)),
            *("--listen", f":{self.proxy}", "--socks", f":{self.socks}"),
            *("--portal", f":{self.portal}", "--metrics", f"127.0.0.1:{self.metrics}"),
            *self.options,
        ]

    def spawn(self) -> None:
        """Start the process and wait for nothing."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command(),
                env=environment(TRIPGATE_STATE=str(self.state)),
                stdout=log,
                stderr=log,
                text=True,
            )

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.spawn()
        assert self.process
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.proxy), 0.2).close()
                if self.cli("status").returncode == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the gateway did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """kill -9, as a power button would."""
        assert self.process
        self.process.kill()
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def cli(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tripgate", *args, "--state", str(self.state)],
            env=environment(), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def run(self, *args: str) -> str:
        """A command that must succeed; its standard output."""
        done = self.cli(*args)
        assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.run(*args, "--json"))

    def used(self, device: str = "this-machine") -> int:
        """Bytes of a device so far."""
        rows = self.json("usage", "--by", "device")["rows"]
        return sum(row["total"] for row in rows if row["device"] == device)

    def recorded(self) -> int:
        """Bytes of all devices, read in the ledger itself."""
        url = (self.state / "redis.url").read_text().strip()
        with redis.Redis.from_url(url, decode_responses=True) as client:
            keys = client.scan_iter("{plan}:scope:device:*")
            return sum(int(client.hget(key, "life.used") or 0) for key in keys)  # type: ignore[arg-type]

    def rest(self) -> int:
        """Wait until nothing more is recorded; the bytes of all devices then."""
        last, since = -1, time.monotonic()
        deadline = since + 15
        while time.monotonic() < deadline:
            now = self.recorded()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                return now
            time.sleep(0.05)
        raise AssertionError("the record does not come to rest")

    def settled_use(self, device: str = "this-machine") -> int:
        """Bytes of a device once the record stands still (readings lag up to a second)."""
        self.rest()
        return self.used(device)


@dataclass
class StockMitmproxy(Gateway):
    """The same gateway inside a stock ``mitmdump``."""

    def command(self) -> list[str]:
        return [
            *(str(Path(sys.executable).parent / "mitmdump"), "-s", str(SCRIPT)),
            *("--set", "termlog_verbosity=warn", "--set", "flow_detail=0"),
            *("--mode", f"regular@{self.proxy}", "--mode", f"socks5@{self.socks}"),
            *self.options,
        ]


@contextlib.contextmanager
def gateway(state: Path, *options: str, kind: type[Gateway] = Gateway) -> Iterator[Gateway]:
    """A started gateway; at the end it is stopped, and so is its ledger."""
    one = kind(state, options=options)
    try:
        one.start()
        yield one
    finally:
        if one.process and one.process.poll() is None:
            one.stop()
        else:
            stop_ledger(state)


def stop_ledger(state: Path) -> None:
    """End the embedded server of a gateway that was killed."""
    pid_file = state / "redis" / "valkey.pid"
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
