"""How the gateway of a state folder was last started, and whether it has ended cleanly.

Written at a start, told the end by a clean stop and by ``router remove``; read by ``doctor``. It
holds no secret: of a Redis only that one is named. What cannot be read is as if it were not there.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tripgate.statefolder import StateError, StateFolder

FILE = "last-run.json"
FILE_MOST = 16 * 1024
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class LastRun:
    """``listens``: addresses by option, or ``off``; ``redis``: a Redis was named; ``boot``: which
    boot of the machine it was; ``ended``: cleanly."""

    mode: str
    boot: str
    listens: Mapping[str, str] = field(default_factory=dict)
    lan: str | None = None
    uplink: str = "auto"
    services: str = "managed"
    trust: str = "kernel"
    redis: bool = False
    ended: bool = False

    @property
    def left_closed(self) -> bool:
        """A router's rules stand, and nobody runs them: that needs the same boot, and an end that
        was unclean or left them on purpose."""
        kept = not self.ended or self.services == "system"
        return self.mode == "router" and kept and self.boot == this_boot()


def this_boot() -> str:
    """Of this machine; empty where the kernel has no name for it."""
    with contextlib.suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""


def write(folder: StateFolder, run: LastRun) -> None:
    """Raises :class:`StateError`."""
    folder.write(folder.path / FILE, json.dumps(asdict(run)) + "\n")


def end(folder: StateFolder, *, opened: bool = False) -> None:
    """It has ended as it should; ``opened``: no rule is left. A note that cannot be written changes
    nothing."""
    run = read(folder)
    if run is not None:
        services = "managed" if opened else run.services
        with contextlib.suppress(StateError):
            write(folder, replace(run, ended=True, services=services))


def read(folder: StateFolder) -> LastRun | None:
    """``None``: nobody knows."""
    try:
        with (folder.path / FILE).open(encoding="utf-8") as file:
            return _parse(json.loads(file.read(FILE_MOST)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _parse(document: Any) -> LastRun:
    """A later version's keys are passed over. ``ValueError``, ``TypeError``."""
    known = {name: document[name] for name in LastRun.__slots__ if name in document}
    run = LastRun(**known)
    texts = (run.mode, run.boot, run.uplink, run.services, run.trust, run.lan or "")
    if not all(isinstance(one, str) for one in texts) or not isinstance(run.listens, dict):
        raise ValueError
    return run
