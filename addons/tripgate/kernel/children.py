"""Child programs of the gateway: started, restarted, adopted after an unclean end, stopped.

Rules
1. A child is in a session of its own: Ctrl-C ends the gateway first, kill -9 of the gateway leaves
   it running. Who it is lies in ``folder/NAME.child`` from its start to its end.
2. The next gateway adopts it where it was started in the same way (``fingerprint``), and ends it
   otherwise. What does not have the recorded identity is left alone (:mod:`process`).
3. A child that ends is started again after ``BACKOFF_S``, doubled each time up to
   ``BACKOFF_MOST_S`` and forgotten after ``STEADY_S`` of running.
4. A stop asks (SIGTERM), then forces after ``STOP_S``.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tripgate.durable import replace_file
from tripgate.kernel import process
from tripgate.kernel.outlet import Outlet
from tripgate.kernel.process import Identity

BACKOFF_S = 0.5
BACKOFF_MOST_S = 30.0
STEADY_S = 60.0
STOP_S = 5.0
RECORD_MOST = 4096
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

log = logging.getLogger("tripgate.children")


@dataclass(frozen=True, slots=True)
class Spec:
    """A program and its arguments. ``configuration`` is what it reads at its start (text)."""

    name: str
    argv: tuple[str, ...]
    configuration: str = ""

    @property
    def fingerprint(self) -> str:
        """Another program, argument or configuration makes another one; tells nothing itself."""
        told = "\0".join((*self.argv, self.configuration))
        return hashlib.sha256(told.encode()).hexdigest()


class Child:
    """One child with its files in ``folder`` (0700). ``line`` gets each line that it writes."""

    def __init__(self, spec: Spec, folder: Path, line: Callable[[str], None] | None = None) -> None:
        self.spec = spec
        self.trouble: str | None = None
        """Why it does not run; ``None`` while it does."""
        self.outlet = Outlet(folder / f"{spec.name}.out", line)
        self._record = folder / f"{spec.name}.child"
        self._output = -1
        self._pidfd = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """Of the running program."""
        return self._pid

    async def start(self) -> None:
        """Adopt or start it, and keep it running until :meth:`stop`. ``OSError``: the folder."""
        self._output = self.outlet.open()
        await self._adopt_or_end()
        if self._pidfd < 0:
            self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"child {self.spec.name}")

    async def stop(self) -> None:
        """End it; returns when it has ended."""
        await self._cancel()
        if self._pidfd >= 0:
            await self._end()
        self.outlet.close()

    async def abandon(self) -> None:
        """Let it run on without us; the next :meth:`start` adopts it."""
        await self._cancel()
        self._close()
        self.outlet.close()

    async def change(self, spec: Spec) -> None:
        """Run as ``spec`` says from now on; nothing happens where that is the same.

        Where the old one does not end it is kept as it was, and the next change tries again.
        """
        if spec.fingerprint == self.spec.fingerprint:
            return
        await self._cancel()
        try:
            if self._pidfd >= 0:
                await self._end()
            self.spec = spec
            self._spawn()
        finally:
            self._task = asyncio.create_task(self._keep(), name=f"child {self.spec.name}")

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _keep(self) -> None:
        """Rule 3."""
        backoff = BACKOFF_S
        while True:
            started = time.monotonic()
            if self._pidfd >= 0:
                await _ended(self._pidfd)
                self._tell_end()
            if time.monotonic() - started > STEADY_S:
                backoff = BACKOFF_S
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MOST_S)
            self._spawn()

    def _tell_end(self) -> None:
        code = self._reap()
        said = self.outlet.last[-1][:200] if self.outlet.last else "it says nothing"
        self.trouble = f"{self.spec.name} ended ({code if code is not None else '?'}): {said}"
        log.warning("%s", self.trouble)

    def _reap(self) -> int | None:
        """After the end: its exit code where it was ours to wait for."""
        code = self._process.wait() if self._process is not None else None
        self._process = None
        self._close()
        self._record.unlink(missing_ok=True)
        return code

    def _close(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd, self._pid = -1, None

    def _spawn(self) -> None:
        """Start it; where that fails :meth:`_keep` tries again."""
        started = None
        try:
            started = subprocess.Popen(  # noqa: S603 - our own argument list
                self.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                cwd="/",
                env={"PATH": PATH},
                umask=0o077,
                start_new_session=True,
            )
            self._pidfd = os.pidfd_open(started.pid)
        except OSError as error:
            if started is not None:  # nobody could see its end
                started.kill()
                started.wait()
            hint = "install it" if started is None else "it is tried again"
            self.trouble = f"{self.spec.argv[0]}: {error.strerror}: {hint}"
            log.warning("%s", self.trouble)
            return
        self._process, self._pid = started, started.pid
        self.trouble = None
        self._note(process.identify(self._pid))

    def _note(self, identity: Identity | None) -> None:
        """Record who runs. On a full disk it runs unrecorded: names and addresses matter more."""
        if identity is None:
            return
        record = asdict(identity) | {"fingerprint": self.spec.fingerprint}
        try:
            replace_file(self._record, json.dumps(record), 0o600)
        except OSError as error:
            log.warning("%s: %s: a crash now leaves it behind", self._record, error.strerror)

    async def _adopt_or_end(self) -> None:
        """Rule 2."""
        found = read_record(self._record)
        if found is None:
            return
        identity, fingerprint = found
        pidfd = process.attach(identity)
        if pidfd is None:
            self._record.unlink(missing_ok=True)
            return
        self._pidfd, self._pid = pidfd, identity.pid
        if fingerprint == self.spec.fingerprint:
            log.info("%s runs already (pid %d): adopted", self.spec.name, identity.pid)
        else:
            log.info("%s was started otherwise: starting it anew", self.spec.name)
            await self._end()

    async def _end(self) -> None:
        """Rule 4."""
        process.send(self._pidfd, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await _ended(self._pidfd)
        except TimeoutError:
            process.send(self._pidfd, signal.SIGKILL)
            await _ended(self._pidfd)
        self._reap()


async def _ended(pidfd: int) -> None:
    """Returns when the process has ended (its pidfd is readable then, ``pidfd_open(2)``)."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)


def read_record(path: Path) -> tuple[Identity, str] | None:
    """Who was started; ``None`` where nothing, or nothing that makes sense, is recorded."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        with path.open("rb") as file:
            record = json.loads(file.read(RECORD_MOST))
        pid, start = record["pid"], record["start"]
        texts = record["boot"], record["program"], record["fingerprint"]
        if type(pid) is int and type(start) is int and all(type(text) is str for text in texts):
            return Identity(pid, start, texts[0], texts[1]), texts[2]
    return None


def recorded_as(folder: Path, spec: Spec) -> bool:
    """Whether the child of that name was last started just so."""
    found = read_record(folder / f"{spec.name}.child")
    return found is not None and found[1] == spec.fingerprint


def end_orphan(record: Path) -> None:
    """End the child that ``record`` names, if it still runs, as rule 4 says; blocks. ``OSError``"""
    found = read_record(record)
    pidfd = process.attach(found[0]) if found else None
    if pidfd is not None:
        try:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                process.send(pidfd, sign)
                if select.select([pidfd], [], [], STOP_S)[0]:
                    break
        finally:
            os.close(pidfd)
    record.unlink(missing_ok=True)
