"""What people give, lend and ask for: credits on limits, never on what was used.

Rules
1. A credit raises the limits of its target in the periods that it was given in, and ends with
   them. What was used never falls.
2. Who lends must have it: a lender's tightest cap leaves at least what is lent.
3. Only a target with a cap (or the plan with a volume) has something to raise.
4. A request waits until it is answered, once. Each target has at most one open, all together at
   most ``MOST_REQUESTS``; the oldest answered ones are forgotten first.
5. Credits older than ``KEEP_S`` count in no period that still runs, but for ``trip`` and ``once``:
   they are added up into one, dated like the newest of them.
6. To set or clear a cap ends what was given to it (:func:`tripgate.core.book.set_cap`).
"""

from dataclasses import replace

from tripgate.core.book import Book, BookError, target_label
from tripgate.core.model import PLAN, Credit, Period, Request, Target
from tripgate.core.units import format_volume

MOST_CREDITS = 500
MOST_REQUESTS = 100
TEXT_MOST = 200
KEEP_S = 62 * 86_400


def give(book: Book, target: Target, volume: int, now: int) -> Book:
    """Raise the limits of ``target`` by ``volume`` bytes. Raises :class:`BookError`."""
    _check_capped(book, target)
    return _credited(book, (Credit(target, volume, now),), now)


def lend(book: Book, giver: Target, taker: Target, volume: int, now: int, left: int) -> Book:
    """Move ``volume`` bytes of allowance. ``left``: what the giver's tightest cap leaves."""
    if giver == taker:
        raise BookError(f"{target_label(book, giver)} cannot lend to itself")
    for target in (giver, taker):
        _check_capped(book, target)
    if volume > left:
        raise BookError(
            f"{target_label(book, giver)} has only {format_volume(left)} left: lend less"
        )
    return _credited(book, (Credit(giver, -volume, now), Credit(taker, volume, now)), now)


def ask(book: Book, request: Request) -> Book:
    """Enter a request, in place of an open one of the same target."""
    kept = [one for one in book.requests if one.answer or one.target != request.target]
    while len(kept) >= MOST_REQUESTS:
        kept.remove(min(kept, key=lambda one: (not one.answer, one.at)))
    new = replace(request, text=request.text[:TEXT_MOST])
    return replace(book, requests=(*kept, new))


def answer(book: Book, request_id: str, yes: bool, now: int) -> Book:
    """Answer an open request; ``yes`` gives what was asked. Raises :class:`BookError`."""
    for request in book.requests:
        if request.id == request_id:
            break
    else:
        raise BookError(f"no request {request_id[:40]!r}: `tripgate request list` shows them")
    if request.answer:
        raise BookError(f"request {request.id} was answered: {request.answer}")
    done = replace(request, answer="yes" if yes else "no")
    kept = tuple(done if one is request else one for one in book.requests)
    book = replace(book, requests=kept)
    return give(book, request.target, request.volume, now) if yes else book


def _check_capped(book: Book, target: Target) -> None:
    volume = target == PLAN and book.plan is not None and book.plan.volume is not None
    if not volume and not any(key[0] == target for key in book.caps):
        label = target_label(book, target)
        raise BookError(f"{label} has no cap to raise: `tripgate cap set` sets one")


def _credited(book: Book, new: tuple[Credit, ...], now: int) -> Book:
    """Rule 5."""
    kept = [one for one in book.credits if now - one.at <= KEEP_S]
    old: dict[tuple[Target, tuple[Period, ...]], Credit] = {}
    for one in book.credits:
        if now - one.at > KEEP_S:
            key = (one.target, one.replaced)
            before = old.get(key, Credit(one.target, 0, one.at))
            old[key] = replace(one, volume=before.volume + one.volume, at=max(before.at, one.at))
    if len(old) + len(kept) + len(new) > MOST_CREDITS:
        raise BookError(f"there are {MOST_CREDITS} credits: raise the cap with `tripgate cap set`")
    return replace(book, credits=(*old.values(), *kept, *new))
