"""The records of the lease journal: one line each, checked, strict.

Rules
1. A line is ``CRC PAYLOAD`` and a newline: CRC-32 (ISO 3309) of the payload as 8 lower-case hex
   digits, a space, a compact ASCII JSON array; at most ``MAX_LINE`` bytes in all.
2. The first line is the header, with the version of the format. A newer one is not read.
3. Amounts are cumulative and only grow, stages only go forward: a repeated or reordered line
   changes nothing.
4. What follows the last newline is a torn tail: an append that nobody was told is durable. It is
   ignored. A complete line that does not pass is damage: it is skipped and counted.
5. A line that could not be read back is never written: ``encode`` reads its own result.
"""

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from tripgate.core.model import Kind, Limit, Period, Target

VERSION = 1
MAX_LINE = 4096
MAX_LIMITS = 32
MAX_BYTES = 2**63 - 1

_MAGIC = "tripgate-journal"
_LEASE = re.compile(r"[!-~]{1,128}")
_NAME = re.compile(r"[!-~]{1,64}")


class RecordError(ValueError):
    """A line or a record is not what the rules ask for."""


class NewerFormat(RecordError):
    """The journal was written in a later format."""


class Stage(IntEnum):
    """How far a lease has come; only forward.

    ``OPEN``: its bytes may still move. ``ENDED``: the amount is decided, the ledger has not yet
    confirmed it. ``CLOSED``: the ledger has confirmed it. ``GONE``: the ledger cannot lose it any
    more; the journal forgets it.
    """

    OPEN = 0
    ENDED = 1
    CLOSED = 2
    GONE = 3


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease as it was granted.

    ``granted`` is cumulative, in bytes; ``trusted``: its periods come from a trusted clock.
    """

    lease: str
    device: str
    limits: tuple[Limit, ...]
    granted: int
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of a lease: the bytes it has used in all, and its stage."""

    lease: str
    used: int
    stage: Stage = Stage.OPEN


Record = LeaseRecord | Mark


@dataclass(slots=True)
class Entry:
    """All that the journal knows of one lease."""

    record: LeaseRecord
    used: int = 0
    stage: Stage = Stage.OPEN

    def grow(self, record: LeaseRecord) -> None:
        """Take a later grant (or an earlier one that comes late: no change)."""
        if record.granted >= self.record.granted:
            self.record = record

    def mark(self, mark: Mark) -> None:
        """Take what became of it; amounts and stages only go up."""
        self.used = max(self.used, mark.used)
        self.stage = max(self.stage, mark.stage)

    @property
    def marked(self) -> Mark:
        """The latest mark."""
        return Mark(self.record.lease, self.used, self.stage)

    @property
    def records(self) -> tuple[Record, ...]:
        """The fewest records that say all of it."""
        if self.used == 0 and self.stage is Stage.OPEN:
            return (self.record,)
        return (self.record, self.marked)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a journal file holds. ``damaged`` counts the lines that did not pass."""

    entries: dict[str, Entry]
    damaged: int = 0
    torn: bool = False


def header() -> bytes:
    """The first line of a journal."""
    return _line([_MAGIC, VERSION])


def encode(record: Record) -> bytes:
    """The line of a record. Raises :class:`RecordError` if it could not be read back."""
    line = _line(_payload(record))
    if decode(line[:-1]) != record:
        raise RecordError("a record would not be read back as it is")
    return line


def decode(line: bytes) -> Record:
    """The record of a line (without its newline). Raises :class:`RecordError`."""
    match _content(line):
        case ["grant", lease, device, granted, bool(trusted), [*limits]]:
            if len(limits) > MAX_LIMITS:
                raise RecordError("too many limits")
            return LeaseRecord(
                lease=_text(_LEASE, lease),
                device=_text(_NAME, device),
                limits=tuple(_limit(limit) for limit in limits),
                granted=_amount(granted),
                trusted=trusted,
            )
        case ["mark", lease, used, stage]:
            return Mark(_text(_LEASE, lease), _amount(used), _stage(stage))
    raise RecordError("not a record")


def read(data: bytes) -> Reading:
    """Read a whole journal; never fails but with :class:`NewerFormat`.

    A mark whose grant is not there says nothing that could be settled and counts as damage.
    """
    *lines, tail = data.split(b"\n")
    damaged = _check_header(lines)
    entries: dict[str, Entry] = {}
    for line in lines[1:]:
        try:
            _apply(entries, decode(line))
        except RecordError:
            damaged += 1
    left = {lease: entry for lease, entry in entries.items() if entry.stage is not Stage.GONE}
    return Reading(left, damaged, torn=bool(tail))


def write(leases: Iterable[tuple[Record, ...]]) -> bytes:
    """A whole journal of these leases (see :attr:`Entry.records`) and nothing else."""
    return header() + b"".join(encode(record) for lease in leases for record in lease)


def _apply(entries: dict[str, Entry], record: Record) -> None:
    entry = entries.get(record.lease)
    if isinstance(record, Mark):
        if entry is None:
            raise RecordError("a mark without its grant")
        entry.mark(record)
    elif entry is None:
        entries[record.lease] = Entry(record)
    else:
        entry.grow(record)


def _check_header(lines: list[bytes]) -> int:
    """How many damages the first line is; nothing at all is an empty journal."""
    if not lines:
        return 0
    try:
        content = _content(lines[0])
    except RecordError:
        return 1
    match content:
        case [str(magic), int(version)] if magic == _MAGIC and version > VERSION:
            raise NewerFormat(f"format {version}; this program reads {VERSION}")
        case [str(magic), int(version)] if magic == _MAGIC and version == VERSION:
            return 0
    return 1


def _line(payload: list[object]) -> bytes:
    text = json.dumps(payload, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _content(line: bytes) -> object:
    if len(line) >= MAX_LINE:
        raise RecordError("a line is too long")
    if line[:9] != b"%08x " % zlib.crc32(line[9:]):
        raise RecordError("the checksum does not fit")
    try:
        return json.loads(line[9:])
    except (ValueError, RecursionError) as error:
        raise RecordError("not JSON") from error


def _payload(record: Record) -> list[object]:
    if isinstance(record, Mark):
        return ["mark", record.lease, record.used, int(record.stage)]
    limits = [[x.target.kind, x.target.key, x.period, x.start, x.limit] for x in record.limits]
    return ["grant", record.lease, record.device, record.granted, record.trusted, limits]


def _limit(value: object) -> Limit:
    match value:
        case [str(kind), str(key), str(period), start, limit]:
            try:
                target, span = Target(Kind(kind), key), Period(period)
            except ValueError as error:
                raise RecordError("not a kind or a period") from error
            if key:
                _text(_NAME, key)
            return Limit(target, span, _amount(start), None if limit is None else _amount(limit))
    raise RecordError("not a limit")


def _stage(value: object) -> Stage:
    try:
        return Stage(_amount(value))
    except ValueError as error:
        raise RecordError("not a stage") from error


def _text(pattern: re.Pattern[str], value: object) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise RecordError("not an id")


def _amount(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_BYTES:
        return value
    raise RecordError("not an amount")
