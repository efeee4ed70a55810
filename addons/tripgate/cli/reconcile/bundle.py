"""A zip file that is written beside its place and put there when it is whole.

Rules
1. Mode 0600, a name that nobody knows before; it is renamed at the end, on disk.
2. A file that is there already is not replaced unless that is wanted; two at once cannot both win.
3. Every member's SHA-256 and size are in ``manifest.json``, the last member.
4. Text that may come from outside is made safe for a terminal and for a spreadsheet: no control
   characters, no cell that begins a formula.
"""

import csv
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tripgate.cli.failure import Refused
from tripgate.cli.output import clean
from tripgate.durable import sync_folder

FORMULA = ("=", "+", "-", "@")
MANIFEST = "manifest.json"
Cell = str | int | None


class Member:
    """One file inside: written once, hashed as it is written."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._hash = raw, hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, text: str) -> None:
        data = text.encode()
        self._raw.write(data)
        self._hash.update(data)
        self.size += len(data)

    def row(self, cells: Iterable[Cell]) -> None:
        """A line of CSV (RFC 4180)."""
        line = io.StringIO()
        csv.writer(line).writerow([safe(cell) for cell in cells])
        self.write(line.getvalue())


def safe(cell: Cell) -> Cell:
    """Rule 4. A spreadsheet takes a text that begins with ``=`` and the like for a formula."""
    if not isinstance(cell, str):
        return cell
    text = clean(cell)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


class Bundle:
    """``with Bundle(path, at) as made:``; leaves no file behind where it fails.

    ``at``: epoch seconds, for the members' dates. Raises :class:`Refused`.
    """

    def __init__(self, path: Path, at: int, *, replace: bool) -> None:
        self._path, self._replace = path, replace
        self._date = datetime.fromtimestamp(at, UTC).timetuple()[:6]
        self._members: dict[str, Mapping[str, str | int]] = {}
        if not replace and os.path.lexists(path):
            raise _taken(path)
        try:
            descriptor, name = tempfile.mkstemp(".new", f".{path.name[:100]}.", path.parent)
        except OSError as error:
            raise _unwritable(path, error) from None
        self._new = Path(name)
        self._raw = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._raw, "w", zipfile.ZIP_DEFLATED)

    @contextmanager
    def member(self, name: str) -> Iterator[Member]:
        info = zipfile.ZipInfo(name, self._date)
        info.external_attr = 0o600 << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as raw:
            member = Member(raw)
            yield member
        self._members[name] = {"sha256": member.digest, "bytes": member.size}

    def document(self, name: str, document: object) -> None:
        with self.member(name) as member:
            member.write(json.dumps(document, indent=2) + "\n")

    def lines(self, name: str, lines: Iterable[str]) -> None:
        with self.member(name) as member:
            for line in lines:
                member.write(clean(line, 1000) + "\n")

    def close(self, about: Mapping[str, object]) -> int:
        """The manifest, then the file in its place; its size in bytes."""
        self.document(MANIFEST, {**about, "members": dict(self._members)})
        self._zip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        size = self._raw.tell()
        if not self._replace:
            self._reserve()
        try:
            self._new.replace(self._path)
        except OSError:
            if not self._replace:
                self._path.unlink(missing_ok=True)
            raise
        sync_folder(self._path.parent)
        return size

    def _reserve(self) -> None:
        """An empty file of our own in the place, or an error: nobody else's is replaced."""
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise _taken(self._path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):  # what went wrong is told already
            self._zip.close()
            self._raw.close()
        self._new.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(self._path, error) from None


def _taken(path: Path) -> Refused:
    return Refused(f"{path} is there already: name another file, or add --force to replace it")


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path}: {error.strerror}: name a file that can be written")
