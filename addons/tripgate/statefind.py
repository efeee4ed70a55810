"""Which state folder a command is about.

Rules
1. ``--state``, then ``TRIPGATE_STATE``, then the user's own folder; the system's folder only where
   that one holds state and the user's own does not.
2. A new gateway starts in the user's own folder.
"""

import os
from pathlib import Path

from tripgate.statefolder import SYSTEM, StateError, StateFolder


def own_folder() -> Path:
    """Where a user's state lies: ``$XDG_STATE_HOME/tripgate``, else in ``~/.local/state``."""
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if base.is_absolute():
        return base / "tripgate"
    try:
        return Path("~/.local/state/tripgate").expanduser()
    except RuntimeError:
        raise StateError("there is no home folder: name a folder with --state DIR") from None


def find(explicit: Path | None) -> StateFolder:
    """The state folder by rule 1; it need not exist. ``explicit``: what ``--state`` names."""
    named = explicit or os.environ.get("TRIPGATE_STATE")
    if named:
        return StateFolder(Path(named).expanduser().absolute())
    own, system = StateFolder(own_folder()), StateFolder(SYSTEM)
    return system if _has_state(system) and not _has_state(own) else own


def _has_state(folder: StateFolder) -> bool:
    """True also where somebody may not look: reading it then says why."""
    try:
        folder.gateway_json.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
