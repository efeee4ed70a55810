"""The real gateway in the lab's gateway namespace, as ``tripgate up --mode router`` runs it.

Rules
1. It is told by its command line, its settings file and its CLI alone, as anybody would.
2. Its children (ledger server, resolvers) are its namespace's processes: what an unclean end left
   of them is ended with the lab.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab, device_mac, wait_until
from tests.lab.truth import Bytes
from tests.running import environment
from tripgate.core.book import Book, claim_device
from tripgate.ledger.protocol import Edit
from tripgate.ledger.registry import RedisRegistry
from tripgate.statefolder import StateFolder

WEB = Path(__file__).with_name("websrv.py")
START_S = 20.0
STOP_S = 20.0
QUIET_S = 1.6
"""Longer than the settlement's rhythm: what does not change in it has come to rest."""


@dataclass
class Product:
    """One gateway: its state folder, its process, its CLI."""

    lab: Lab
    state: Path
    options: tuple[str, ...] = ()
    settings: str = ""
    process: "subprocess.Popen[str] | None" = None
    names: dict[int, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "tripgate")
    trust: str = "host"
    """Who vouches for its clock."""

    @property
    def log(self) -> Path:
        return self.state.parent / "gateway.log"

    # -- its life -----------------------------------------------------------------------------

    def spawn(self) -> None:
        """Start the process and wait for nothing."""
        command = [sys.executable, *self.program, "up", "--mode", "router"]
        command += ["--lan", "lan0", "--state", str(self.state)]
        command += self.options if "--uplink" in self.options else ("--uplink", "wan0")
        command += () if "--uplink" in self.options else self.options
        if self.settings:
            config = self.state.parent / "tripgate.toml"
            config.write_text(self.settings)
            command += ["--config", str(config)]
        with self.log.open("a") as log:
            env = environment(PYTHONUNBUFFERED="1", TRIPGATE_CLOCK__TRUST=self.trust)
            self.process = self.lab.spawn(
                self.lab.gateway, command, stdout=log, stderr=log, env=env
            )

    def start(self) -> None:
        """Start, and wait until devices are served."""
        before = self.said()
        self.spawn()
        wait_until(lambda: self._is_up(before), f"a start:\n{self.said()[-3000:]}", START_S)

    def _is_up(self, before: str) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended:\n{self.said()[-3000:]}")
        return "tripgate is running" in self.said()[len(before) :]

    def said(self) -> str:
        """All that it wrote."""
        return self.log.read_text() if self.log.exists() else ""

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.kill()
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    # -- its CLI ------------------------------------------------------------------------------

    def cli(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *self.program, *args, "--state", str(self.state)],
            env=environment(), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def run(self, *args: str) -> str:
        """A command that must succeed; its standard output."""
        done = self.cli(*args)
        assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.run(*args, "--json"))

    def edit(self, change: Callable[[Book], Book]) -> None:
        """Change the book, as no command does it."""

        async def work() -> None:
            url = StateFolder(self.state).read_redis_url()
            assert url
            registry = RedisRegistry(url)
            version, book = await registry.load()
            assert await registry.replace(version, change(book), Edit("test", "edit"))
            await registry.aclose()

        asyncio.run(work())

    def own(self, number: int) -> None:
        """The device is an owner's."""
        self.edit(lambda book: claim_device(book, self.names[number]))

    # -- devices ------------------------------------------------------------------------------

    def meet(self, *numbers: int) -> None:
        """The devices say hello, and the gateway has entered them into its book."""
        for number in numbers:
            argv = ["ping", "-q", "-c", "1", "-W", "1", "10.77.0.1"]
            self.lab.run(self.lab.device(number), argv, check=False)
        macs = {device_mac(number): number for number in numbers}
        known: dict[int, str] = {}

        def entered() -> bool:
            rows = self.json("device", "list")
            known.update({macs[row["mac"]]: row["name"] for row in rows if row["mac"] in macs})
            return len(known) == len(macs)

        wait_until(entered, "the devices in the book")
        for number, name in known.items():
            if name != f"phone-{number}":
                self.run("device", "name", name, f"phone-{number}")
            self.names[number] = f"phone-{number}"

    def admit(self, *numbers: int) -> None:
        """Meet the devices and approve them."""
        self.meet(*numbers)
        for number in numbers:
            self.run("device", "approve", self.names[number])
        for number in numbers:
            wait_until(lambda n=number: self.reaches(n), f"device {number} gets through")  # type: ignore[misc]

    def reaches(self, number: int, address: str = "198.51.100.116") -> bool:
        """One ping of the device comes back."""
        argv = ["ping", "-q", "-c", "1", "-W", "1", address]
        return self.lab.run(self.lab.device(number), argv, check=False).returncode == 0

    # -- what it counted ----------------------------------------------------------------------

    def counted(self, who: int | str) -> Bytes:
        """What ``usage`` says of a device (by number), or of ``(gateway)``."""
        name = self.names[who] if isinstance(who, int) else who
        rows = self.json("usage", "--by", "device", "--all")["rows"]
        found = [Bytes(row["up"], row["down"]) for row in rows if row["device"] == name]
        return sum(found, Bytes())

    def rest(self) -> dict[str, Bytes]:
        """Wait until nothing changes any more; use by device name, with the box's own."""
        last: dict[str, Bytes] = {}
        since = time.monotonic()
        deadline = since + 30
        while time.monotonic() < deadline:
            rows = self.json("usage", "--by", "device", "--all")["rows"]
            now = {row["device"]: Bytes(row["up"], row["down"]) for row in rows}
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                return now
            time.sleep(0.1)
        raise AssertionError("the record does not come to rest")


@contextlib.contextmanager
def product(
    lab: Lab, folder: Path, *options: str, settings: str = "", start: bool = True
) -> Iterator[Product]:
    """A started gateway with its state in ``folder``; nothing of it is left afterwards."""
    one = Product(lab, folder / "state", options, settings)
    try:
        if start:
            one.start()
        yield one
    finally:
        if one.process and one.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.stop()
        end_all(lab, lab.gateway)


def end_all(lab: Lab, namespace: str) -> None:
    """End every process in a namespace of the lab."""
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True
    )
    for pid in listed.stdout.split():
        if int(pid) != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def web(lab: Lab, *ports: int) -> None:
    """The lab's server serves the web on ``ports`` (80 if none is named)."""
    chosen = ports or (80,)
    lab.spawn(lab.server, [sys.executable, str(WEB), *map(str, chosen)])
    for port in chosen:
        lab.wait_tcp(lab.server, port)


def curl(
    lab: Lab, number: int, url: str, *more: str, seconds: int = 30
) -> "subprocess.CompletedProcess[str]":
    """What device ``number`` gets: status and size, ``200 1000``."""
    told = ["-sgo", "/dev/null", "-m", str(seconds), "-w", "%{http_code} %{size_download}"]
    return lab.run(lab.device(number), ["curl", *told, *more, url], check=False)
