"""Which offers would carry this trip, and what each would cost: from what was used and the pace.

Rules
1. A trip is what it used so far, what it is expected to use until its end (with the forecast's
   range), and how long it is from its first byte to its end.
2. One package of an offer *lasts* when it holds the upper end of the range for the whole trip; it
   *may last* when it holds the lower end; else it does not. Without a forecast only what was used
   can speak: it may be refuted, never confirmed.
3. An unlimited offer lasts as long as it is valid; it is *slow* where the day that is expected
   passes its fair use.
4. What does not last is bought again: a further package where volume or validity ends, or
   top-ups within the validity, whichever is cheaper. Use is taken as even over the trip; what a
   package has left when its validity ends is lost.
5. The billing step counts where the number of sessions is known.
6. The order: what lasts, what may, what is slow, what cannot be said, what does not; among equals
   the cheaper one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tripgate.core.forecast import DAY_H, HOUR_S, Rhythm
from tripgate.core.offers import Offer

DAY_S = DAY_H * HOUR_S


class Lasts(StrEnum):
    """Rule 2 and 3, in the order of rule 6."""

    YES = "lasts"
    MAYBE = "may last"
    SLOW = "slow"
    UNKNOWN = "cannot say yet"
    NO = "runs out"
    EXPIRES = "expires before"


_ORDER = {one: rank for rank, one in enumerate(Lasts)} | {Lasts.EXPIRES: len(Lasts) - 2}


@dataclass(frozen=True, slots=True)
class Trip:
    """Rule 1, in bytes and seconds. ``foreseen`` is False where there is no forecast: then the
    three volumes are what was used, and ``length_s`` is how long that took.

    ``daily`` bytes are expected of a day. ``sessions`` ``None``: nobody knows how many there are.
    """

    used: int
    low: int
    likely: int
    high: int
    length_s: int
    foreseen: bool
    daily: int = 0
    sessions: int | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """What is bought: the first package is one of ``packages``."""

    amount: Decimal
    packages: int
    top_ups: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """``covers_used``: one package would have held what was used so far, for that long.

    ``least`` and ``most`` are the bill at the ends of the range. ``stepped``: the billing step is
    in it.
    """

    offer: Offer
    covers_used: bool
    lasts: Lasts
    bill: Bill
    least: Decimal
    most: Decimal
    stepped: bool


def trip(
    used: int, begun: int, now: int, end: int | None, rhythm: Rhythm | None, sessions: int | None
) -> Trip:
    """``begun``, ``now`` and ``end`` are epoch seconds; ``end`` ``None``: not known. ``rhythm``
    ``None``: too little is known for a forecast."""
    elapsed = max(1, now - begun)
    daily = int(rhythm.daily) if rhythm else 0
    if rhythm is None or end is None:
        return Trip(used, used, used, used, elapsed, False, daily, sessions)
    ahead = rhythm.expected(now, max(now, end))
    error = rhythm.error((end - now) / DAY_S)
    low, likely, high = (used + round(ahead * pace) for pace in (1 - error, 1, 1 + error))
    length = max(elapsed, end - begun)
    return Trip(used, low, likely, high, length, True, daily, sessions)


def compare(offers: Iterable[Offer], found: Trip, elapsed_s: int) -> tuple[Answer, ...]:
    """All offers in the order of rule 6. ``elapsed_s``: how long what was used took."""
    made = [_answer(one, found, elapsed_s) for one in offers]
    return tuple(sorted(made, key=lambda one: (_ORDER[one.lasts], one.bill.amount, one.offer.name)))


def _answer(offer: Offer, found: Trip, elapsed_s: int) -> Answer:
    rounding = found.sessions * (offer.step - 1) if found.sessions else 0
    low, likely, high = found.low, found.likely + rounding // 2, found.high + rounding
    held = offer.volume is None or offer.volume >= found.used
    return Answer(
        offer,
        held and (offer.valid_s is None or offer.valid_s >= elapsed_s),
        _lasts(offer, found, low, high),
        bill(offer, likely, found.length_s),
        bill(offer, low, found.length_s).amount,
        bill(offer, high, found.length_s).amount,
        offer.step == 1 or found.sessions is not None,
    )


def _lasts(offer: Offer, found: Trip, low: int, high: int) -> Lasts:
    """Rules 2 and 3."""
    if offer.valid_s is not None and offer.valid_s < found.length_s:
        return Lasts.EXPIRES
    if offer.volume is not None and offer.volume < low:
        return Lasts.NO
    if not found.foreseen:
        return Lasts.UNKNOWN
    if offer.fair_use is not None and found.daily > offer.fair_use:
        return Lasts.SLOW
    return Lasts.YES if offer.volume is None or offer.volume >= high else Lasts.MAYBE


def bill(offer: Offer, volume: int, length_s: int) -> Bill:
    """Rule 4: the cheapest way to move ``volume`` bytes in ``length_s`` seconds."""
    times = 1 if offer.valid_s is None else max(1, -(-length_s // offer.valid_s))
    if offer.volume is None:
        return Bill(offer.price * times, times)
    packages = max(times, -(-volume // offer.volume))
    again = Bill(offer.price * packages, packages)
    if offer.top_up is None:
        return again
    ups = _top_ups(offer, offer.top_up, volume, length_s, times)
    topped = Bill(offer.price * times + offer.top_up_price * ups, times, ups)
    return min(again, topped, key=lambda one: (one.amount, one.packages + one.top_ups))


def _top_ups(offer: Offer, size: int, volume: int, length_s: int, times: int) -> int:
    """How many: all packages but the last one are used for their whole validity."""
    assert offer.volume is not None
    valid = min(offer.valid_s or length_s, length_s)
    whole, last = times - 1, length_s - (times - 1) * valid
    each, rest = (-(-volume * part // max(1, length_s)) for part in (valid, last))
    return whole * _missing(each - offer.volume, size) + _missing(rest - offer.volume, size)


def _missing(volume: int, size: int) -> int:
    return max(0, -(-volume // size))
