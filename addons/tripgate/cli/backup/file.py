"""The file of a backup: gzip of JSON lines, strict both ways.

Rules
1. The first line is the header, the last one ``{"end": N}`` with the number of keys between.
2. Only keys that the ledger has, each with its type; never a gateway's claim.
3. What is read is refused whole when anything in it is odd. A line is at most ``LINE_MOST`` bytes,
   all lines together ``TOTAL_MOST``: a small file cannot unpack without end.
"""

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tripgate.cli.failure import Refused
from tripgate.core import bookcodec
from tripgate.core.book import BookError
from tripgate.durable import sync_folder
from tripgate.ledger import keys

FORMAT = 1
LINE_MOST = 8 * 1024 * 1024
TOTAL_MOST = 512 * 1024 * 1024
KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:schema|version|book)"), "string"),
    (re.compile(r"(?:seen|contact|sessions)"), "hash"),
    (re.compile(r"(?:scope|lease|use):[!-~]{1,200}"), "hash"),
    (re.compile(r"open"), "set"),
    (re.compile(r"closed:[!-~]{1,64}"), "zset"),
    (re.compile(r"audit"), "stream"),
)
_DIGITS = re.compile(r"[0-9]{1,16}")
_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Header:
    """``schema`` of the state, when (UTC, ISO 8601) and by which gateway the backup was made."""

    schema: int
    made_at: str
    gateway: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One key without its prefix; ``expires_at`` in epoch seconds, None: never.

    ``value``: a text; a map of texts (hash); a list of texts (set); a map of text to float (zset);
    a list of ``[id, map]`` (stream).
    """

    key: str
    value: Any
    expires_at: int | None = None


def kind_of(key: str) -> str | None:
    """The type of a key (without prefix); None: not part of a backup."""
    return next((kind for pattern, kind in KINDS if pattern.fullmatch(key)), None)


class Writer:
    """Writes lines to a new file beside ``path``; :meth:`close` puts it in place."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._new = path.with_name(path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._raw = os.fdopen(os.open(self._new, flags, 0o600), "wb")
        self._zip = gzip.GzipFile("", "wb", 6, self._raw)
        self.count = 0
        self._line(
            {
                "tripgate-backup": FORMAT,
                "schema": header.schema,
                "made_at": header.made_at,
                "gateway": header.gateway,
            }
        )

    def add(self, item: Item) -> None:
        self._line([item.key, item.expires_at, item.value])
        self.count += 1

    def close(self) -> int:
        """Finish and rename; the file's size in bytes."""
        self._line({"end": self.count})
        self._zip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        size = self._raw.tell()
        self._raw.close()
        self._new.replace(self._path)
        sync_folder(self._path.parent)
        return size

    def abandon(self) -> None:
        """Leave no half file behind; nothing to do after :meth:`close`."""
        if not self._raw.closed:
            self._raw.close()
            self._new.unlink()

    def _line(self, value: object) -> None:
        self._zip.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")


def read(path: Path) -> Iterator[Header | Item]:
    """The header, then every item. Raises :class:`Refused` where a rule is broken.

    Only a reading to its end has seen the whole file.
    """
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as lines:
            yield from _items(_lines(lines))
    except OSError as error:
        why = error.strerror or "it is not a backup of tripgate"
        raise Refused(f"{path}: {why}: name a file that `tripgate backup` made") from None
    except (EOFError, zlib.error, ValueError, RecursionError, BookError) as error:
        raise Refused(f"{path} is damaged ({error}): take an earlier backup") from None


def _lines(file: gzip.GzipFile) -> Iterator[Any]:
    total = 0
    while line := file.readline(LINE_MOST + 1):
        total += len(line)
        if len(line) > LINE_MOST or total > TOTAL_MOST:
            raise ValueError("too large")
        yield json.loads(line)


def _items(lines: Iterable[Any]) -> Iterator[Header | Item]:
    count, ended = -1, False
    for line in lines:
        if ended:
            raise ValueError("lines after the end")
        count += 1
        match line:
            case {"tripgate-backup": int(form), **rest} if count == 0:
                yield _header(form, rest)
            case [str(key), expires_at, value] if count > 0:
                yield _item(key, expires_at, value)
            case {"end": int(number)} if count - 1 == number:
                ended = True
            case _:
                raise ValueError(f"line {count + 1}")
    if not ended:
        raise ValueError("the end is missing")


def _header(form: int, rest: dict[Any, Any]) -> Header:
    match rest:
        case {"schema": int(schema), "made_at": str(made_at), "gateway": str() | None as gateway}:
            if form > FORMAT or schema > keys.SCHEMA:
                raise Refused(
                    "the backup was made by a newer tripgate: upgrade this program, then restore"
                )
            if len(made_at) <= 40 and (gateway is None or re.fullmatch(r"[\w-]{1,64}", gateway)):
                return Header(schema, made_at, gateway)
    raise ValueError("the header")


def _item(key: str, expires_at: object, value: object) -> Item:
    kind = kind_of(key)
    if kind is None or not (expires_at is None or type(expires_at) is int):
        raise ValueError(f"the key {key[:40]!r}")
    if not _CHECKS[kind](value) or (key.startswith(("scope:", "use:")) and not _amounts(value)):
        raise ValueError(f"the value of {key[:40]!r}")
    if key.startswith("lease:") and not _lease(value):
        raise ValueError(f"the value of {key[:40]!r}")
    if key == "book":
        bookcodec.load(str(value))
    if key in ("version", "schema") and not _DIGITS.fullmatch(str(value)):
        raise ValueError(f"the value of {key!r}")
    return Item(key, value, expires_at)


def _texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def _amounts(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, str) and _DIGITS.fullmatch(one) for one in value.values()
    )


def _lease(value: Any) -> bool:
    """A state of the two, what was granted and settled, and where it counts."""
    rest = {name: one for name, one in value.items() if name not in ("state", "device")}
    known = value.get("state") in ("open", "closed") and {"granted", "settled"} <= rest.keys()
    return bool(known and _amounts(rest))


def _entry(value: object) -> bool:
    match value:
        case [str(at), fields]:
            return _STREAM_ID.fullmatch(at) is not None and _texts(fields) and fields != {}
    return False


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(type(one) in (int, float) for one in value.values())


_CHECKS: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "hash": lambda value: _texts(value) and value != {},
    "set": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "zset": _numbers,
    "stream": lambda value: isinstance(value, list) and all(map(_entry, value)),
}
