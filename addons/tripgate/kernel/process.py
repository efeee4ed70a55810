"""Which process is it? An identity that outlives us, so that no foreign process is ever ended.

Rules
1. A process is its pid, when it started (clock ticks since boot, ``proc(5)`` stat field 22), the
   boot, and the program it runs. A pid alone is given again to anybody.
2. The pidfd is opened first and the identity compared after: signals go through the pidfd, and so
   to that process or to none.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_REPLACED = " (deleted)"  # by an upgrade of its package; it is the same process


@dataclass(frozen=True, slots=True)
class Identity:
    """A process of this boot."""

    pid: int
    start: int
    boot: str
    program: str


def identify(pid: int) -> Identity | None:
    """Who ``pid`` is now; ``None`` if nobody, or one that has ended."""
    folder = PROC / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        program = str((folder / "exe").readlink()).removesuffix(_REPLACED)
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Identity(pid, int(fields[19]), boot, program)


def attach(wanted: Identity) -> int | None:
    """A pidfd of ``wanted``; ``None`` if it is not there any more. The caller closes it."""
    try:
        fd = os.pidfd_open(wanted.pid)
    except OSError:
        return None
    if identify(wanted.pid) == wanted:
        return fd
    os.close(fd)
    return None


def send(pidfd: int, number: signal.Signals) -> None:
    """Signal the process of ``pidfd``, if it still is."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)
