"""Installs the system files of the router, and takes them back.

Rules
1. A file of somebody else is never overwritten without ``force``; then it is kept beside ours as
   ``NAME.before-tripgate``, and ``remove`` puts it back.
2. Nothing is written before every file was looked at: one that is foreign stops all.
3. A second ``apply`` finds everything the same and does nothing. One that no longer wants a file
   takes it back.
4. Links are not followed out of the way: a link in a file's place is somebody else's file.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tripgate.core.systemfiles import EVERY_PATH, SystemFile, is_ours
from tripgate.durable import replace_file, sync_folder

SAVED = ".before-tripgate"
FILE_MOST = 1024 * 1024

State = Literal["new", "same", "changed", "foreign", "gone"]


class ForeignFile(Exception):
    """A file is in the way that somebody else wrote. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one file: ``gone`` is taken back."""

    path: str
    state: State
    unit: str | None = None


def plan(root: Path, wanted: Sequence[SystemFile]) -> list[Step]:
    """What :func:`apply` would do below ``root``. ``OSError``."""
    steps = [Step(file.path, _state(root / file.path, file), file.unit) for file in wanted]
    kept = {file.path for file in wanted}
    return steps + [step for step in _ours(root) if step.path not in kept]


def apply(root: Path, wanted: Sequence[SystemFile], *, force: bool = False) -> list[Step]:
    """Do it; what was done. Raises :class:`ForeignFile`, ``OSError``."""
    steps = plan(root, wanted)
    foreign = [step.path for step in steps if step.state == "foreign"]
    if foreign and not force:
        raise ForeignFile(
            f"/{foreign[0]} was written by somebody else: move it away, or use --force"
        )
    texts = {file.path: file for file in wanted}
    for step in steps:
        if step.state == "gone":
            _take_back(root / step.path)
        elif step.state != "same":
            _put(root / step.path, texts[step.path], save=step.state == "foreign")
    return steps


def remove(root: Path) -> list[Step]:
    """Take back every file that is ours; which. ``OSError``."""
    steps = _ours(root)
    for step in steps:
        _take_back(root / step.path)
    return steps


def _ours(root: Path) -> list[Step]:
    found = [SystemFile(path, "") for path in EVERY_PATH if _is_ours(root / path)]
    return [Step(file.path, "gone", file.unit) for file in found]


def _is_ours(path: Path) -> bool:
    text = _read(path)
    return text is not None and is_ours(text)


def _state(path: Path, file: SystemFile) -> State:
    if not os.path.lexists(path):
        return "new"
    text = _read(path)
    if text is None or not is_ours(text):
        return "foreign"
    same = text == file.text and path.stat().st_mode & 0o777 == file.mode
    return "same" if same else "changed"


def _read(path: Path) -> str | None:
    """The text of a plain file; ``None`` for anything else."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as opened:
        return opened.read(FILE_MOST).decode(errors="replace")


def _put(path: Path, file: SystemFile, *, save: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if save:
        path.rename(path.with_name(path.name + SAVED))
    replace_file(path, file.text, file.mode)


def _take_back(path: Path) -> None:
    saved = path.with_name(path.name + SAVED)
    if os.path.lexists(saved):
        saved.replace(path)
    else:
        path.unlink()
    sync_folder(path.parent)
    if path.parent.name == "tripgate" and not any(path.parent.iterdir()):
        path.parent.rmdir()
