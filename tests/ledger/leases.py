"""Leases, journals and children that die, for the tests of the journal and of recovery."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tripgate.core.model import PLAN, Limit, Period, device_target
from tripgate.core.record import LeaseRecord
from tripgate.ledger.journal import Journal, Recovered, Recovery
from tripgate.ledger.progress import Progress

MIB = 1024 * 1024
NOW = 1_800_000_000
BOOT = "11111111-2222-3333-4444-555555555555"
ROOT = Path(__file__).parent.parent.parent


def lease(number: int, granted: int = MIB, *, device: str = "dev-aaaa") -> LeaseRecord:
    """A lease of the gateway ``gw`` that counts for its device and the plan."""
    limits = tuple(
        Limit(target, period, NOW - NOW % 86_400)
        for target in (device_target(device), PLAN)
        for period in (Period.DAY, Period.TRIP)
    )
    return LeaseRecord(f"gw:one:{number}", device, limits, granted, trusted=True)


def progress(folder: Path, boot: str | None = BOOT) -> Progress:
    return Progress(folder / "progress", boot)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Journal]:
    """The journal of ``folder``, recovered."""
    journal = Journal(folder / "journal")
    await journal.recover(progress(folder))
    try:
        yield journal
    finally:
        await journal.aclose()


async def recovery(folder: Path, boot: str | None = BOOT) -> Recovery:
    """What a new run finds."""
    journal = Journal(folder / "journal")
    try:
        return await journal.recover(progress(folder, boot))
    finally:
        await journal.aclose()


async def recovered(folder: Path, boot: str | None = BOOT) -> dict[str, Recovered]:
    """The leases that a new run finds, by id."""
    return {one.lease.lease: one for one in (await recovery(folder, boot)).leases}


def run_child(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python until it ends or kills itself."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'addons'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def killed(script: str, *arguments: str) -> str:
    """Run Python that kills itself with SIGKILL; what it printed before."""
    child = run_child(script, *arguments)
    assert child.returncode == -signal.SIGKILL, child.stderr
    return child.stdout


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own of ``size`` bytes; skips, and says why, where there can be none."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tripgate-test", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"no small file system without the right to mount: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the space that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler
