"""From figures to what templates show: texts, shares, rings. No decisions are taken here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tripgate.core.book import Book
from tripgate.core.model import Period, Target, Warned
from tripgate.portal.reading import Gauge, Reading
from tripgate.portal.words import Words, unit_of, zone_of

RING = 2 * math.pi * 44
"""Circumference of the ring's circle (its radius in the template)."""


@dataclass(frozen=True, slots=True)
class GaugeView:
    """A limit with its bar and ring."""

    whose: str
    what: str
    used: str
    left: str
    number: str
    unit: str
    percent: int
    level: str
    ends: str
    dash: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A service and its share of the largest."""

    name: str
    volume: str
    percent: int


def gauge(words: Words, book: Book, one: Gauge) -> GaugeView:
    unit = unit_of(book)
    left = words.volume(one.left, unit)
    number, _, name = left.partition("\u00a0")
    # all but nothing left is not nothing left, and all but all used is not all used
    percent = 100 if not one.left else min(99, round(100 * one.share))
    return GaugeView(
        whose=words.scope(one.target),
        what=words.limit(one.limit, one.period, unit),
        used=words(
            "used_of", used=words.volume(one.used, unit), limit=words.volume(one.limit, unit)
        ),
        left=left,
        number=number,
        unit=name,
        percent=percent,
        level=one.level,
        ends=ends(words, book, one),
        dash=f"{RING * (1 - one.share):.1f} {RING:.1f}",
    )


def ends(words: Words, book: Book, one: Gauge) -> str:
    """When a limit starts again, or that it does not."""
    if one.ends_at is None:
        return words("never_restarts")
    key = "ends" if one.period == "trip" else "restarts"
    return words(key, when=words.moment(one.ends_at, zone_of(book)))


def gauges(words: Words, book: Book, reading: Reading) -> list[GaugeView]:
    return [gauge(words, book, one) for one in reading.gauges]


def warned(words: Words, book: Book, reading: Reading) -> str:
    """The highest warn level that was told of a limit over the device and still stands."""
    told = {(one.target, one.period): one for one in book.warned}
    found = [
        (told[gauge.target, gauge.period].level, gauge)
        for gauge in reading.gauges
        if gauge.left and (gauge.target, gauge.period) in told and _stands(told, gauge)
    ]
    if not found:
        return ""
    level, one = max(found, key=lambda item: item[0])
    what = words.limit(one.limit, one.period, unit_of(book))
    return words("warned", percent=level, whose=words.scope(one.target), what=what)


def _stands(told: Mapping[tuple[Target, Period], Warned], gauge: Gauge) -> bool:
    """It was told of this period, and the limit was not raised since."""
    return gauge.used * 100 >= gauge.limit * told[gauge.target, gauge.period].level


def bars(words: Words, book: Book, reading: Reading) -> list[Bar]:
    """Services of today, the largest first."""
    most = max((volume for _, volume in reading.services), default=0)
    unit = unit_of(book)
    return [
        Bar(
            name or words("other_services"),
            words.volume(volume, unit),
            max(1, round(100 * volume / most)),
        )
        for name, volume in reading.services
    ]
