"""Volumes, shares and instants as people read them, and instants as JSON has them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tripgate.core.units import format_volume

BAR_CELLS = 10
_ZONE = ContextVar("zone", default="UTC")


def volume(size: int | None, unit: str = "GB") -> str:
    """A volume for people, in the plan's ``unit``; ``None`` is unlimited."""
    return "unlimited" if size is None else format_volume(size, unit)


def bar(used: int, limit: int) -> str:
    """How full: blocks and a percentage, e.g. ``####······  40 %``; more than full stays full."""
    share = used / limit if limit else 1.0
    full = min(BAR_CELLS, int(share * BAR_CELLS))
    return f"{'#' * full}{'·' * (BAR_CELLS - full)} {share:4.0%}"


def instant(at: int | None) -> str | None:
    """ISO 8601 UTC for JSON."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at: str | None) -> str:
    """An instant of a document for people, to the minute, in the zone of :func:`in_zone`."""
    if at is None:
        return "never"
    zone = _ZONE.get()
    return f"{datetime.fromisoformat(at).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


@contextmanager
def in_zone(name: str) -> Iterator[None]:
    """While a document is drawn, its instants are told in this zone: the plan's."""
    before = _ZONE.set(name)
    try:
        yield
    finally:
        _ZONE.reset(before)


UNITS_S = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def span(seconds: int) -> str:
    """A length in the largest unit that comes out whole: ``30 days``, ``12 hours``."""
    unit, size = next(one for one in UNITS_S if seconds % one[1] == 0)
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def expiry(at: str | None, valid_s: int | None, start: str) -> str:
    """When a plan ends, or how long after a start that is still to come."""
    if at is not None or valid_s is None:
        return moment(at)
    return f"{span(valid_s)} after {'first use' if start == 'first-use' else 'its start'}"


def caps(summaries: Iterable[Mapping[str, Any]]) -> str:
    """The caps of one target in one cell: ``day 120 MB of 500 MB; trip 1.2 GB of 10 GB``."""
    parts = (f"{c['period']} {volume(c['used'])} of {volume(c['limit'])}" for c in summaries)
    return "; ".join(parts) or "-"
