"""Tells systemd what became of our units.

Rule: only on the machine's own root, and only where systemd is the init; elsewhere there is nobody
to tell, and nothing is done.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tripgate.kernel.boxdrain import SYSTEMD
from tripgate.kernel.children import PATH
from tripgate.kernel.systemfiles import Step

RUN_S = 60.0
OTHERS = ("NetworkManager.service", "systemd-networkd.service", "unbound.service")
"""They read a file of ours; those that run read it again."""


class SystemdError(Exception):
    """systemctl refuses. One line."""


def here(root: Path) -> bool:
    """Is there a systemd that reads the files below ``root``?"""
    return root == Path("/") and SYSTEMD.is_dir()


def installed(steps: Sequence[Step]) -> None:
    """After an apply: start what is new, again what has changed. Raises :class:`SystemdError`."""
    if all(step.state == "same" for step in steps):
        return
    ended = [step.unit for step in steps if step.unit and step.state == "gone"]
    units = [step.unit for step in steps if step.unit and step.state != "gone"]
    _systemctl("daemon-reload")
    if ended:
        _systemctl("stop", *ended)
    _systemctl("try-reload-or-restart", *OTHERS)
    _systemctl("enable", *units)
    _systemctl("restart", *units)


def before_removal(steps: Sequence[Step]) -> None:
    """Stop and disable the units of ``steps`` while their files are there."""
    units = [step.unit for step in steps if step.unit]
    if units:
        _systemctl("disable", "--now", *units)


def removed() -> None:
    """After a removal."""
    _systemctl("daemon-reload")
    _systemctl("try-reload-or-restart", *OTHERS)


def _systemctl(*words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own argument list
            ["/usr/bin/systemctl", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RUN_S,
            check=False,
            env={"PATH": PATH},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemdError(f"systemctl {words[0]}: {error}") from error
    if done.returncode != 0 and words[0] != "try-reload-or-restart":
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise SystemdError(f"systemctl {words[0]}: {said[:200]}")
