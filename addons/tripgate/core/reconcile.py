"""The carrier's figure beside our own: how far apart, what of it has a known cause, what it means.

Rules
1. A difference is the carrier's figure less ours: above zero the carrier counts more.
2. A cause moves the carrier's figure by something between two bounds: half of the last digit that
   was typed; what is unsure of our count at an earlier time; headers that the explicit mode
   estimates and does not charge. Only what lies outside of all bounds together is unexplained.
   Rounding up of sessions is no cause: the plan's own count has it.
3. Up to ``AGREE`` of the larger figure is agreement. Less than ``LEAST`` bytes, or a figure that
   is not sure to ``COARSE``, says nothing yet; it may say that the two are apart all the same.
4. A gigabyte of 1024^3 bytes that is read as one of 1000^3, or the other way about, is a ratio of
   7.4 % (5 % for megabytes). It is named where it fits, and only where the figures are sure enough
   to tell it from agreement; it is no excuse: the verdict stays.
5. What the carrier lacked at one reading and has at the next was booked late.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tripgate.core.statement import Statement
from tripgate.core.units import format_volume

AGREE, COARSE, LEAST = 0.01, 0.05, 10_000_000
GIGA = 2**30 / 10**9


class Verdict(StrEnum):
    AGREES = "agrees"
    MORE = "carrier counts more"
    LESS = "carrier counts less"
    UNKNOWN = "cannot say yet"


class Cause(StrEnum):
    TYPED = "the reading's last digit"
    TIME = "our count at an earlier time"
    HEADERS = "headers that are estimated, not charged"


@dataclass(frozen=True, slots=True)
class Part:
    """How far one cause may move the carrier's figure, in bytes."""

    cause: Cause
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Interval:
    """From the reading before to this one, in bytes. ``late``: of it, what was booked late."""

    said: int
    counted: int
    late: int = 0

    @property
    def difference(self) -> int:
        return self.said - self.counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One reading, judged. ``unexplained`` bytes have no known cause (rule 2).

    ``factor``: the ratio of units that fits (rule 4), above 1: the carrier's figure is larger.
    """

    statement: Statement
    parts: tuple[Part, ...]
    unexplained: int
    verdict: Verdict
    factor: float | None = None
    interval: Interval | None = None

    @property
    def difference(self) -> int:
        return self.statement.said - self.statement.counted

    @property
    def share(self) -> float | None:
        """The difference in parts of our count."""
        return self.difference / self.statement.counted if self.statement.counted else None


def report(statements: Iterable[Statement]) -> tuple[Finding, ...]:
    """Every reading of one plan, by its time."""
    found: list[Finding] = []
    for one in sorted(statements, key=lambda one: one.at):
        found.append(_judged(one, found[-1] if found else None))
    return tuple(found)


def _judged(one: Statement, before: Finding | None) -> Finding:
    parts = tuple(_parts(one))
    rest = _outside(one.said - one.counted, parts)
    verdict = _verdict(one, rest)
    apart = verdict in (Verdict.MORE, Verdict.LESS)
    return Finding(
        one,
        parts,
        rest,
        verdict,
        _factor(one, parts) if apart else None,
        _interval(one, before) if before else None,
    )


def _parts(one: Statement) -> Iterator[Part]:
    """Rule 2."""
    yield Part(Cause.TYPED, -one.within, one.within)
    if one.apart:
        yield Part(Cause.TIME, -one.apart, one.apart)
    if one.headers:
        yield Part(Cause.HEADERS, 0, one.headers)


def _outside(difference: int, parts: Sequence[Part]) -> int:
    """What no cause explains; of the sign of the difference."""
    low, high = sum(part.low for part in parts), sum(part.high for part in parts)
    return difference - min(high, max(low, difference))


def _verdict(one: Statement, rest: int) -> Verdict:
    """Rule 3."""
    larger = max(one.said, one.counted)
    if larger < LEAST:
        return Verdict.UNKNOWN
    if abs(rest) > AGREE * larger:
        return Verdict.MORE if rest > 0 else Verdict.LESS
    return Verdict.AGREES if one.within + one.apart <= COARSE * larger else Verdict.UNKNOWN


def _factor(one: Statement, parts: Sequence[Part]) -> float | None:
    """Rule 4."""
    fits = []
    for ratio in {GIGA, one.factor or GIGA}:
        for factor in (ratio, 1 / ratio):
            meant = round(one.said / factor)
            rest = _outside(meant - one.counted, parts)
            larger = max(meant, one.counted)
            sure = one.within + one.apart < (ratio - 1) / 2 * larger
            if sure and abs(rest) <= AGREE * larger:
                fits.append((abs(meant - one.counted), factor))
    return min(fits)[1] if fits else None


def _interval(one: Statement, before: Finding) -> Interval:
    """Rule 5."""
    said = one.said - before.statement.said
    counted = one.counted - before.statement.counted
    late = min(max(0, -before.unexplained), max(0, said - counted))
    return Interval(said, counted, late)


# -- in words ----------------------------------------------------------------------------------


def words(found: Finding, unit: str) -> str:
    """The verdict as a sentence."""
    said = _plain(found, unit)
    more = [*_asides(found, unit)]
    return ". ".join([said, *more])


def _plain(found: Finding, unit: str) -> str:
    one = found.statement
    if found.verdict is Verdict.AGREES:
        return f"agrees within {_least(found)}"
    if found.verdict is Verdict.UNKNOWN:
        larger = max(one.said, one.counted)
        if larger < LEAST:
            return f"cannot say yet: less than {format_volume(LEAST, unit)} says nothing"
        sure = format_volume(one.within + one.apart, unit)
        return f"cannot say yet: the figures are sure to {sure} only; more digits would say more"
    share = f" ({percent(abs(found.share))})" if found.share is not None else ""
    rest = format_volume(abs(found.unexplained), unit)
    apart = format_volume(abs(found.difference), unit)
    return f"{found.verdict}: {apart}{share}, of which {rest} without a known cause"


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _least(found: Finding) -> str:
    """The difference as a share, rounded up to a tenth of a per cent."""
    tenths = -(-abs(found.difference) * 1000 // max(1, found.statement.counted))
    return percent(max(1, tenths) / 1000)


def _asides(found: Finding, unit: str) -> Iterator[str]:
    if found.factor is not None:
        yield _unit_aside(found, found.factor, unit)
    interval = found.interval
    if interval and interval.said < 0:
        yield f"The carrier took {format_volume(-interval.said, unit)} back"
    if interval and interval.late:
        late = format_volume(interval.late, unit)
        yield f"Since the reading before {late} were booked late"


def _unit_aside(found: Finding, factor: float, unit: str) -> str:
    ratio = max(factor, 1 / factor) - 1
    fits = f"It fits a unit that is read wrongly: binary and decimal differ by {percent(ratio)}"
    if factor < 1:
        said = "the carrier's GB seems to be 1024³ bytes"
        told = "as the plan's unit says" if unit == "GiB" else "`plan set --unit GiB`"
        return f"{fits}; {said}, {told}: write its figures as GiB"
    return f"{fits}; the carrier seems to bill 1000³ bytes as if they were 1024³"
