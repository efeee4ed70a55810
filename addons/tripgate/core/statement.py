"""What the carrier says was used: its page or SMS, as it was typed, beside our own count.

Rules
1. The text is kept as it was typed: ``1.2 GB`` says less than ``1.20 GB``. A reading is sure to
   half of its last digit, :attr:`Statement.within`.
2. Our own count is noted together with it: hours and minutes are not kept for ever, a reading is.
   For an earlier time it is made from them, and sure to :attr:`Statement.apart`.
3. In a book there are at most ``MOST``: readings of earlier plans make room first, then the oldest.
   A reading of the same time replaces the one before.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from typing import Any

from tripgate.core.units import VOLUME_FORMS, VOLUME_MAX, UnitError, parse_volume

MOST = 1_000
MOST_NUMBER = 2**53 - 1
_TEXT = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))? ?([A-Za-z]{1,3})")
_PREFIX = re.compile(r"([kKMGT])i?B")


@dataclass(frozen=True, slots=True)
class Statement:
    """``text``: of the carrier, for ``at`` (epoch seconds). Volumes are bytes since ``trip``.

    ``trip`` is when the plan's count began; ``counted`` our own at ``at``, ``headers`` what was
    estimated beside it and not charged. ``trusted``: whether the clock was, at ``noted_at``.
    """

    at: int
    text: str
    counted: int
    apart: int
    headers: int
    trip: int
    noted_at: int
    trusted: bool

    @property
    def said(self) -> int:
        return parse_said(self.text)

    @property
    def within(self) -> int:
        """Half of the last digit that was typed, in bytes."""
        match = _TEXT.fullmatch(self.text)
        assert match
        shown: int = 10 ** len(match[2] or "")
        return parse_volume(f"1{match[3]}") // (2 * shown)

    @property
    def factor(self) -> float | None:
        """How far apart the binary and the decimal unit of that name are: 1.024, 1.049, 1.074, …"""
        match = _PREFIX.search(self.text)
        if match is None:
            return None
        prefix = match[1].upper() if match[1] == "k" else match[1]
        return parse_volume(f"1{prefix}iB") / parse_volume(f"1{prefix}B")


def parse_said(text: str) -> int:
    """Bytes, zero among them, rounded: 1.13 GiB are no whole bytes. Raises :class:`UnitError`."""
    match = _TEXT.fullmatch(text) if text.isascii() else None
    if match is None:
        raise UnitError(f"{text[:40]!r} is not a volume: write it as {VOLUME_FORMS}")
    said = round(Decimal(f"{match[1]}.{match[2] or 0}") * parse_volume(f"1{match[3]}"))
    if said > VOLUME_MAX:
        raise UnitError(f"{text[:40]!r} is out of range: write it as {VOLUME_FORMS}")
    return said


def with_statement(
    kept: Sequence[Statement], new: Statement, most: int = MOST
) -> tuple[Statement, ...]:
    """``kept`` and ``new``, by plan and time (rule 3)."""
    others = (one for one in kept if (one.trip, one.at) != (new.trip, new.at))
    found = sorted((*others, new), key=lambda one: (one.trip == new.trip, one.trip, one.at))
    return tuple(found[-most:])


def of_trip(kept: Iterable[Statement], trip: int) -> tuple[Statement, ...]:
    """Those of one plan, by their time."""
    return tuple(sorted((one for one in kept if one.trip == trip), key=lambda one: one.at))


# -- as text -----------------------------------------------------------------------------------


def dump(one: Statement) -> list[Any]:
    """For JSON: the fields in their order, for there may be a thousand in a book."""
    return list(astuple(one))


def load(raw: Any) -> Statement:
    """What :func:`dump` made. Raises :class:`ValueError`."""
    kinds = [field.type for field in fields(Statement)]
    if not isinstance(raw, list) or [type(value) for value in raw] != kinds:
        raise ValueError("a reading of the carrier's is of another form")
    made = Statement(*raw)
    parse_said(made.text)
    numbers = (made.at, made.counted, made.apart, made.headers, made.trip, made.noted_at)
    if not all(0 <= number <= MOST_NUMBER for number in numbers):
        raise ValueError("a reading of the carrier's is out of range")
    return made


def load_all(raw: Any) -> tuple[Statement, ...]:
    """Raises :class:`ValueError`."""
    if not isinstance(raw, list) or len(raw) > MOST:
        raise ValueError("the carrier's readings are no list, or too many")
    return tuple(map(load, raw))
