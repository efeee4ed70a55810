"""What was changed on this machine, and what it was before.

Rules
1. A value is in the record, on disk, before it is changed for the first time; later changes of the
   same thing leave the record alone.
2. Values are put back in the reverse order, each exactly as it was; what already is so is not
   touched, and what has gone with its interface is passed over.
3. Values of the kernel do not outlive it: those of another boot are dropped. Files do, and stay in
   the record. A file that another hand changed meanwhile is theirs and is left alone.
"""

import contextlib
import hashlib
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tripgate.durable import replace_file, sync_folder
from tripgate.kernel import addresses, linksettings
from tripgate.kernel.addresses import Interface
from tripgate.kernel.command import CommandError

Kind = Literal["sysctl", "gso_max_segs", "gro", "address", "file"]

_SYSCTL = re.compile(r"net/[A-Za-z0-9_./-]{1,120}")
_PROC = Path("/proc/sys")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FILE_MOST = 1024 * 1024


class RecordError(OSError):
    """The record, or a value in it, cannot be used. One line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing as it was: ``old`` is ``None`` for a file that was not there; ``ours`` is the
    digest of the file that we wrote."""

    kind: Kind
    name: str
    old: str | None
    mode: int = 0
    ours: str = ""


@dataclass(slots=True)
class Recorded:
    """The record in ``path`` (of the state folder). ``RecordError``, ``OSError``."""

    path: Path
    boot: str = ""
    _entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.boot = self.boot or _BOOT.read_text(encoding="ascii").strip()
        with contextlib.suppress(FileNotFoundError):
            self._entries = _parse(self.path.read_text(encoding="utf-8"), self.boot, self.path)

    def sysctl(self, name: str, value: str) -> None:
        """Set ``/proc/sys/NAME``, a name in ``net/``."""
        self._kernel("sysctl", name, value)

    def note_sysctl(self, name: str) -> None:
        """Record what a change of something else will change too."""
        self._note(Entry("sysctl", name, _read_sysctl(name)))

    def gso_max_segs(self, link: str, value: str) -> None:
        """Set the most segments of one packet that ``link`` takes."""
        self._kernel("gso_max_segs", link, value)

    def gro(self, link: str, value: str) -> None:
        """Turn the joining of received packets ``on`` or ``off``."""
        self._kernel("gro", link, value)

    def address(self, link: str, address: Interface) -> None:
        """Record that ``link`` has ``address`` from us; it is given afterwards."""
        self._note(Entry("address", f"{link} {address}", None))

    def file(self, path: Path, text: str, mode: int = 0o644) -> None:
        """Write a whole file."""
        old, old_mode = _read_file(path)
        ours = _digest(text)
        known = self._find("file", str(path))
        if known:
            self._entries[self._entries.index(known)] = Entry(
                "file", str(path), known.old, known.mode, ours
            )
            self._write()
        else:
            self._note(Entry("file", str(path), old, old_mode, ours))
        replace_file(path, text, mode)

    def restore(self) -> None:
        """Put everything back and forget it. What cannot be put back stays recorded, and is told
        in one ``RecordError`` at the end."""
        failed: list[Entry] = []
        complaints: list[str] = []
        for entry in reversed(self._entries):
            try:
                _put_back(entry)
            except (OSError, CommandError) as error:
                failed.append(entry)
                complaints.append(f"{entry.kind} {entry.name}: {error}")
        self._entries = failed[::-1]
        if failed:
            self._write()
            raise RecordError(f"not put back: {'; '.join(complaints)}")
        self.path.unlink(missing_ok=True)

    def _kernel(self, kind: Kind, name: str, value: str) -> None:
        read, write = _KERNEL[kind]
        now = read(name)
        if now != value:
            self._note(Entry(kind, name, now))
            write(name, value)

    def _note(self, entry: Entry) -> None:
        if not self._find(entry.kind, entry.name):
            self._entries.append(entry)
            self._write()

    def _find(self, kind: Kind, name: str) -> Entry | None:
        return next((e for e in self._entries if (e.kind, e.name) == (kind, name)), None)

    def _write(self) -> None:
        entries = [[e.kind, e.name, e.old, e.mode, e.ours] for e in self._entries]
        text = json.dumps({"version": 1, "boot": self.boot, "entries": entries}, indent=1)
        replace_file(self.path, text + "\n", 0o600)


def _parse(text: str, boot: str, path: Path) -> list[Entry]:
    try:
        document: dict[str, Any] = json.loads(text)
        if document["version"] != 1:
            raise ValueError(f"version {document['version']}")
        entries = [Entry(*entry) for entry in document["entries"]]
        for entry in entries:
            if entry.kind == "address":
                _address(entry.name)
            elif entry.kind != "file":
                _KERNEL[entry.kind]
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"{path} cannot be read ({error}): see what it says, then move it away"
        ) from error
    if document["boot"] == boot:
        return entries
    return [entry for entry in entries if entry.kind == "file"]


def _put_back(entry: Entry) -> None:
    if entry.kind == "file":
        _put_file_back(entry)
        return
    if entry.kind == "address":
        link, address = _address(entry.name)
        addresses.take_back(link, [address])
        return
    read, write = _KERNEL[entry.kind]
    with contextlib.suppress(FileNotFoundError):
        if entry.old is not None and read(entry.name) != entry.old:
            write(entry.name, entry.old)


def _address(name: str) -> tuple[str, Interface]:
    link, _, text = name.partition(" ")
    return link, ipaddress.ip_interface(text)


def _put_file_back(entry: Entry) -> None:
    path = Path(entry.name)
    now, _ = _read_file(path)
    if now is None or _digest(now) != entry.ours:
        return
    if entry.old is None:
        path.unlink()
        sync_folder(path.parent)
    else:
        replace_file(path, entry.old, entry.mode)


def _read_file(path: Path) -> tuple[str | None, int]:
    try:
        if path.stat().st_size > _FILE_MOST:
            raise RecordError(f"{path} is too large to be kept: move it away")
        return path.read_text(encoding="utf-8"), path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None, 0
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} is not text: move it away") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_sysctl(name: str) -> str:
    return _sysctl(name).read_text(encoding="ascii").strip()


def _write_sysctl(name: str, value: str) -> None:
    _sysctl(name).write_text(value, encoding="ascii")


def _sysctl(name: str) -> Path:
    if not _SYSCTL.fullmatch(name) or ".." in name:
        raise RecordError(f"{name!r} is not a sysctl of the network")
    return _PROC / name


_KERNEL: dict[Kind, tuple[Callable[[str], str], Callable[[str, str], None]]] = {
    "sysctl": (_read_sysctl, _write_sysctl),
    "gso_max_segs": (linksettings.read_gso_max_segs, linksettings.write_gso_max_segs),
    "gro": (linksettings.read_gro, linksettings.write_gro),
}
