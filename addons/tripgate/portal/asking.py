"""Asking for more: what a device's page offers when one of its limits is used up.

Rules
1. A device asks for a part of the limit that stops it, of its own or its person's, beyond what it
   has used: a gift raises a limit, it takes nothing off what was used. More of a plan that is used
   up nobody here can give.
2. While a request of it is open it cannot ask again; so nobody fills the book, or the owner's day.
3. The last answer is shown for a day.
"""

from dataclasses import dataclass

from tripgate.core.allowance import ask
from tripgate.core.book import Book, BookError
from tripgate.core.limits import targets_of
from tripgate.core.model import Device, Kind, Request
from tripgate.portal.change import Change
from tripgate.portal.reading import Gauge, Reading
from tripgate.portal.words import Words, unit_of

PART = 5
LEAST = 1_000_000
SHOWN_S = 86_400


@dataclass(frozen=True, slots=True)
class Asking:
    """What the page shows: the button's text, or how the last request stands."""

    button: str = ""
    stands: str = ""


def wanted(gauge: Gauge) -> int:
    """How many bytes are asked for: what was used past the limit, and a fifth of the limit."""
    return max(0, gauge.used - gauge.limit) + max(LEAST, gauge.limit // PART)


def stopping(reading: Reading) -> Gauge | None:
    """The limit to be raised (rule 1)."""
    tightest = reading.tightest
    if tightest is None or tightest.left or tightest.target.kind is Kind.PLAN:
        return None
    return tightest


def asking(words: Words, book: Book, device: Device, reading: Reading, now: int) -> Asking:
    gauge, last = stopping(reading), _last(book, device)
    stands = ""
    if last is not None and (not last.answer or now - last.at < SHOWN_S):
        amount = words.volume(last.volume, unit_of(book))
        stands = words(_STANDS[last.answer], volume=amount)
    if gauge is None or (last is not None and not last.answer):
        return Asking(stands=stands)
    amount = words.volume(wanted(gauge), unit_of(book))
    return Asking(words("ask_more", volume=amount), stands)


def request(device: Device, gauge: Gauge, now: int) -> Change:
    """Enter the request; nothing changes by rule 2."""

    def apply(book: Book) -> tuple[Book, str]:
        if device.id not in book.devices:
            raise BookError(f"{device.name} is gone")
        last = _last(book, device)
        if last is not None and not last.answer:
            return book, ""
        taken = {one.id for one in book.requests}
        number = next(n for n in range(1, len(taken) + 2) if f"r{n}" not in taken)
        made = Request(f"r{number}", gauge.target, wanted(gauge), now, f"asked on {device.name}")
        return ask(book, made), f"{device.name} {made.volume}"

    return Change("request", apply)


def _last(book: Book, device: Device) -> Request | None:
    """The newest request of the device or of its person."""
    mine = [one for one in targets_of(device) if one.kind is not Kind.PLAN]
    found = [one for one in book.requests if one.target in mine]
    return max(found, key=lambda one: (not one.answer, one.at), default=None)


_STANDS = {"": "ask_open", "yes": "ask_yes", "no": "ask_no"}
