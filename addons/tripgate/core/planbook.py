"""Plans in a row: the first one is in force, the next takes over at its end.

Rules
1. A plan ends when it expires or when its volume is used up. The next begins at that moment, with
   a count of its own: its ``trip`` starts anew, and no byte of the one before stands in it.
2. A plan that starts at first use begins with the first flow that is let through. It counts from
   when it was set, so that what moves before its use is noticed (or the clock is trusted) is its
   own; that is later than the plan before it counted from, whatever the clock says.
3. Without a next plan the present one stays: used up, it stops; expired, it goes on counting.
4. Nothing begins or ends while the clock is not trusted; the caller sees to that.
"""

from dataclasses import replace

from tripgate.core.book import Book, BookError
from tripgate.core.model import Plan

MOST_NEXT = 20


def queue_plan(book: Book, plan: Plan) -> Book:
    """Put a plan at the end of the row. Raises :class:`BookError`."""
    if book.plan is None:
        raise BookError("there is no plan to follow: leave out --next")
    if len(book.queue) >= MOST_NEXT:
        raise BookError(f"there are {MOST_NEXT} plans to come: that is enough")
    return replace(book, queue=(*book.queue, replace(plan, starts_at=None)))


def wait_for_use(plan: Plan, now: int) -> Plan:
    """The same plan, from ``now`` on waiting for its first use (rule 2)."""
    since = max(now, plan.counted_from + 1)
    return replace(plan, start="first-use", starts_at=None, counts_from=since)


def waits_for_use(book: Book) -> bool:
    """The plan begins with the first use, and was not used yet."""
    return book.plan is not None and book.plan.start == "first-use" and book.plan.starts_at is None


def first_use(book: Book, now: int) -> Book:
    """Rule 2."""
    if book.plan is None or not waits_for_use(book):
        return book
    return replace(book, plan=replace(book.plan, starts_at=now))


def over(book: Book, now: int, *, used_up: bool) -> bool:
    """Rule 1; False where no plan follows."""
    plan = book.plan
    if plan is None or not book.queue:
        return False
    return used_up or (plan.expires_at is not None and now >= plan.expires_at)


def succeed(book: Book, now: int) -> Book:
    """The next plan, from now on."""
    following, *rest = book.queue
    return replace(book, plan=replace(following, starts_at=now), queue=tuple(rest))
