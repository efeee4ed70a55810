"""The report of ``reconcile`` as a document and as text."""

from collections.abc import Iterator
from typing import TypedDict

from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.documents import Snapshot
from tripgate.cli.store import WIRE, Store
from tripgate.core import reconcile
from tripgate.core.model import PLAN, Period, Plan
from tripgate.core.reconcile import Finding, Interval
from tripgate.core.statement import of_trip

KINDS = {WIRE: "whole packets on the uplink, all headers included"}
SOCKETS_TEXT = "bytes on the gateway's own connections; headers of the network are not in them"
NONE_YET = "no readings yet: note one with tripgate reconcile add"


class CauseDocument(TypedDict):
    """How far a cause may move the carrier's figure, in bytes."""

    cause: str
    low: int
    high: int


class IntervalDocument(TypedDict):
    """Since the reading before. ``late``: what of ``difference`` was booked late."""

    said: int
    counted: int
    difference: int
    percent: float | None
    late: int


class ReadingDocument(TypedDict):
    """One reading of the carrier's. ``difference`` is the carrier's figure less ours;
    ``unit_factor`` the ratio of units that fits; ``clock``: whether it was trusted when the reading
    was noted."""

    at: str | None
    text: str
    said: int
    counted: int
    difference: int
    percent: float | None
    explained: int
    unexplained: int
    causes: list[CauseDocument]
    unit_factor: float | None
    interval: IntervalDocument | None
    verdict: str
    words: str
    noted_at: str | None
    clock: str


class ReportDocument(TypedDict):
    """``reconcile report``, of the plan in force. ``used`` is our count now; ``earlier``: how many
    readings there are of earlier plans; ``verdict``: that of the newest reading."""

    since: str | None
    now: str | None
    used: int
    kind: str
    unit: str
    step: int
    clock: str
    earlier: int
    readings: list[ReadingDocument]
    verdict: str | None
    words: str


def report_document(store: Store, read: Snapshot) -> ReportDocument:
    plan = read.book.plan or Plan()
    mine = of_trip(read.book.statements, plan.counted_from)
    readings = [_reading(one, plan.unit) for one in reconcile.report(mine)]
    return {
        "since": instant(plan.counted_from) if read.book.plan else None,
        "now": instant(read.now),
        "used": read.used(PLAN, Period.TRIP),
        "kind": store.counted,
        "unit": plan.unit,
        "step": plan.step,
        "clock": _clock(read.trusted),
        "earlier": len(read.book.statements) - len(mine),
        "readings": readings,
        "verdict": readings[-1]["verdict"] if readings else None,
        "words": readings[-1]["words"] if readings else NONE_YET,
    }


def _clock(trusted: bool) -> str:
    return "trusted" if trusted else "untrusted"


def _reading(found: Finding, unit: str) -> ReadingDocument:
    one = found.statement
    return {
        "at": instant(one.at),
        "text": one.text,
        "said": one.said,
        "counted": one.counted,
        "difference": found.difference,
        "percent": _percent(found.difference, one.counted),
        "explained": found.difference - found.unexplained,
        "unexplained": found.unexplained,
        "causes": [
            {"cause": part.cause.name.lower(), "low": part.low, "high": part.high}
            for part in found.parts
        ],
        "unit_factor": round(found.factor, 4) if found.factor else None,
        "interval": _interval(found.interval) if found.interval else None,
        "verdict": str(found.verdict),
        "words": reconcile.words(found, unit),
        "noted_at": instant(one.noted_at),
        "clock": _clock(one.trusted),
    }


def _interval(one: Interval) -> IntervalDocument:
    return {
        "said": one.said,
        "counted": one.counted,
        "difference": one.difference,
        "percent": _percent(one.difference, one.counted),
        "late": one.late,
    }


def _percent(difference: int, of: int) -> float | None:
    return round(difference / of * 100, 2) if of else None


# -- for people --------------------------------------------------------------------------------


def signed(size: int, unit: str) -> str:
    return f"{'+' if size > 0 else '-' if size < 0 else ''}{volume(abs(size), unit)}"


def share(one: ReadingDocument) -> str:
    return "-" if one["percent"] is None else f"{one['percent']:+.1f} %"


def causes(one: ReadingDocument, unit: str) -> str:
    """``last digit ±50 MB; headers up to 61 MB``."""
    parts = []
    for cause in one["causes"]:
        name = reconcile.Cause[cause["cause"].upper()]
        high = volume(cause["high"], unit)
        parts.append(f"{name} ±{high}" if cause["low"] else f"{name} up to {high}")
    return "; ".join(parts)


def basis(document: ReportDocument) -> Iterator[str]:
    """What the figures are of."""
    unit = document["unit"]
    kind = KINDS.get(document["kind"], SOCKETS_TEXT)
    yield (
        f"our count: {volume(document['used'], unit)} since {moment(document['since'])}, "
        f"devices, gateway and nobody's together, both directions; {kind}"
    )
    if document["step"] > 1:
        step = volume(document["step"])
        yield f"the plan is billed in steps of {step}: the count has each session rounded up"
    if document["earlier"]:
        yield f"{document['earlier']} readings of earlier plans are in an export"
    if document["clock"] == "untrusted":
        yield "the clock is not trusted: the times of readings may be wrong"


def text(document: ReportDocument) -> Iterator[str]:
    """The report in plain lines, for a file."""
    unit = document["unit"]
    yield f"verdict: {document['words']}"
    yield from basis(document)
    for one in document["readings"]:
        yield ""
        yield f"{moment(one['at'])}: the carrier says {one['text']} ({one['said']} bytes)"
        yield f"  our count          {one['counted']} bytes"
        yield f"  difference         {one['difference']:+d} bytes ({share(one)})"
        yield f"  known causes       {causes(one, unit)}"
        yield f"  explained          {one['explained']:+d} bytes"
        yield f"  unexplained        {one['unexplained']:+d} bytes"
        if interval := one["interval"]:
            yield (
                f"  since the last     carrier {interval['said']:+d}, "
                f"we {interval['counted']:+d} bytes"
            )
        yield f"  verdict            {one['words']}"
        if one["clock"] == "untrusted":
            yield "  the clock was not trusted when this was noted"
