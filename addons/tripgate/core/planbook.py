"""Plans in a row and plans of uplinks: which is in force, which pays, which takes over.

Rules
1. A plan ends when it expires or when its volume is used up. The next begins at that moment, with
   a count of its own: its ``trip`` starts anew, and no byte of the one before stands in it.
2. A plan that starts at first use begins with the first flow that is let through. It counts from
   when it was set, so that what moves before its use is noticed (or the clock is trusted) is its
   own; that is later than the plan before it counted from, whatever the clock says.
3. Without a next plan the present one stays: used up, it stops; expired, it goes on counting.
4. Nothing begins or ends while the clock is not trusted; the caller sees to that.
5. Beside the plan (:data:`PLAN`) an uplink may have one of its own, with counters of its own. What
   moves on that uplink is its alone, also when it is used up; the plan pays on all others, or on
   the one that it names. Caps on ``plan`` are the plan's: where it does not pay they rest.
6. A plan to come follows the plan of its uplink, else the plan.
7. What moves before a plan that begins at a set time is no plan's. One that began by itself pays
   also where the clock has gone back since.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from tripgate.core.book import Book, BookError
from tripgate.core.model import PLAN, Kind, Plan, Target
from tripgate.core.period import carry

MOST_NEXT = 20
MOST_UPLINKS = 16


def plan_target(uplink: str) -> Target:
    """Of a plan that an uplink has for itself."""
    return Target(Kind.PLAN, uplink)


def in_force(book: Book) -> Mapping[Target, Plan]:
    """The plan first; those of uplinks after it."""
    main = {PLAN: book.plan} if book.plan else {}
    return main | {plan_target(one.uplink): one for one in book.uplink_plans if one.uplink}


def paying(book: Book, used: Collection[str], now: int | None = None) -> Target | None:
    """Whose the bytes are that move now (rules 5, 7). ``used``: uplinks, the preferred one first;
    ``now``: by a clock that is trusted."""
    active = next(iter(used), "")
    own = plan_target(active) if active else PLAN
    target = own if own in in_force(book) else PLAN
    plan = in_force(book).get(target)
    if plan is None:
        return target
    begun = now is None or plan.start != "at" or (plan.starts_at or 0) <= now
    return target if begun and (target != PLAN or plan.uplink in (None, active)) else None


def chosen(book: Book, uplink: str | None, *, bind: bool) -> Target:
    """Which plan an edit that names ``uplink`` is about; ``bind``: it says nothing else, and ties
    the plan to an uplink that has none."""
    own = plan_target(uplink or "")
    taken = book.plan is None or book.plan.uplink == uplink
    return own if own in in_force(book) or not (bind or taken or uplink is None) else PLAN


def put(book: Book, target: Target, plan: Plan) -> Book:
    """Set a plan in force. Raises :class:`BookError`."""
    if target == PLAN:
        return replace(book, plan=plan)
    kept = [one for one in book.uplink_plans if one.uplink != target.key]
    if len(kept) >= MOST_UPLINKS:
        raise BookError(f"{MOST_UPLINKS} uplinks have plans: `tripgate plan remove` ends one")
    return replace(book, uplink_plans=(*kept, replace(plan, uplink=target.key)))


def remove(book: Book, uplink: str) -> Book:
    """Take away an uplink's plan and those that follow it. Raises :class:`BookError`."""
    if plan_target(uplink) not in in_force(book):
        raise BookError(f"{uplink[:40]!r} has no plan of its own: `tripgate plan list` shows them")
    return replace(
        book,
        uplink_plans=tuple(one for one in book.uplink_plans if one.uplink != uplink),
        queue=tuple(one for one in book.queue if one.uplink != uplink),
    )


def queue_plan(book: Book, plan: Plan) -> Book:
    """Put a plan at the end of its row. Raises :class:`BookError`."""
    if book.plan is None:
        raise BookError("there is no plan to follow: leave out --next")
    if len(book.queue) >= MOST_NEXT:
        raise BookError(f"there are {MOST_NEXT} plans to come: that is enough")
    return replace(book, queue=(*book.queue, replace(plan, starts_at=None)))


def row(book: Book, target: Target) -> tuple[Plan, ...]:
    """The plans that follow one in force (rule 6)."""
    return tuple(one for one in book.queue if _followed(book, one) == target)


def _followed(book: Book, plan: Plan) -> Target:
    own = plan_target(plan.uplink or "")
    return own if own in in_force(book) else PLAN


def wait_for_use(plan: Plan, now: int) -> Plan:
    """The same plan, from ``now`` on waiting for its first use (rule 2)."""
    since = max(now, plan.counted_from + 1)
    return replace(plan, start="first-use", starts_at=None, counts_from=since)


def waits_for_use(book: Book, target: Target = PLAN) -> bool:
    """The plan begins with the first use, and was not used yet."""
    plan = in_force(book).get(target)
    return plan is not None and plan.start == "first-use" and plan.starts_at is None


def first_use(book: Book, now: int, target: Target = PLAN) -> Book:
    """Rule 2."""
    if not waits_for_use(book, target):
        return book
    return put(book, target, replace(in_force(book)[target], starts_at=now))


def over(book: Book, now: int, target: Target = PLAN, *, used_up: bool) -> bool:
    """Rule 1; False where no plan follows."""
    plan = in_force(book).get(target)
    if plan is None or not row(book, target):
        return False
    return used_up or (plan.expires_at is not None and now >= plan.expires_at)


def succeed(book: Book, now: int, target: Target = PLAN) -> Book:
    """The next plan, from now on."""
    following = row(book, target)[0]
    queue = list(book.queue)
    queue.remove(following)
    new = carry(in_force(book).get(target), replace(following, starts_at=now), now)
    return put(replace(book, queue=tuple(queue)), target, new)
