"""The state folder: whose it is, how much room it has, and the journal in it.

Rule: at least ``FREE_LEAST`` bytes free, or grants stop; below ``FREE_WANTED`` a warning.
"""

import os
import shutil
import stat
from pathlib import Path

from tripgate.cli.cells import volume
from tripgate.cli.doctor.finding import Finding, Machine, fail, ok, warn
from tripgate.core import record
from tripgate.statefolder import StateError

FREE_LEAST = 64 * 1024 * 1024
FREE_WANTED = 512 * 1024 * 1024
JOURNAL_MOST = 16 * 1024 * 1024


async def folder(machine: Machine) -> list[Finding]:
    """Ours, private, and not written by a newer tripgate."""
    path = machine.folder.path
    try:
        found = path.stat()
        machine.folder.read_identity()
    except FileNotFoundError:
        return [_new_folder(path)]
    except OSError as error:
        return [fail("folder", f"{path}: {error.strerror}", "name a folder of your own: --state")]
    except StateError as error:
        return [fail("folder", str(error), "the line says how")]
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        mend = "run it as the folder's owner, or name a folder of your own: --state"
        return [fail("folder", f"{path} may not be written by this account", mend)]
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IRWXO:
        return [warn("folder", f"{path} is open to everybody", f"chmod o= {path}")]
    return [ok("folder", f"{path}, mode {mode:04o}")]


def _new_folder(path: Path) -> Finding:
    """Not there yet: can it be made?"""
    above = existing(path)
    if not os.access(above, os.W_OK | os.X_OK):
        return fail("folder", f"{above} may not be written", "name a folder of your own: --state")
    return ok("folder", f"{path} is made at the first start")


def existing(path: Path) -> Path:
    """The nearest folder above that exists."""
    return next((above for above in (path, *path.parents) if above.exists()), Path("/"))


async def disk(machine: Machine) -> list[Finding]:
    """Room for the ledger and the journal."""
    place = existing(machine.folder.path)
    free = shutil.disk_usage(place).free
    detail = f"{volume(free)} free in {place}"
    mend = "free some space there, or move the state folder: --state"
    if free < FREE_LEAST:
        return [fail("disk", detail, mend)]
    return [warn("disk", detail, mend) if free < FREE_WANTED else ok("disk", detail)]


async def journal(machine: Machine) -> list[Finding]:
    """The journal of the leases can be read back."""
    path = machine.folder.journal
    try:
        with path.open("rb") as file:
            data = file.read(JOURNAL_MOST)
    except FileNotFoundError:
        return [ok("journal", "none yet")]
    except OSError as error:
        return [fail("journal", f"{path}: {error.strerror}", "give the gateway's account the file")]
    return [_read_journal(path, data)]


def _read_journal(path: Path, data: bytes) -> Finding:
    try:
        reading = record.read(data)
    except record.NewerFormat as error:
        return fail("journal", f"{path}: {error}", "use the newer tripgate, or another --state")
    if reading.damaged:
        mend = "start the gateway: what it cannot read is charged in full, then it is rewritten"
        return warn("journal", f"{path}: {reading.damaged} damaged lines", mend)
    return ok("journal", f"{len(reading.entries)} leases, {volume(len(data))}")
