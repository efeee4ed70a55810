"""Policies in the book: made, replaced, cleared, and the presets.

Rules
1. A policy on the same thing, target and hours replaces the one before, whatever its verb.
2. Policies that are over are dropped with the next change. At most ``MOST_POLICIES`` stand.
3. A preset is a set of policies under one name; clearing the preset clears them and no others.
"""

from collections.abc import Mapping
from dataclasses import replace

from tripgate.core.book import Book, BookError, target_label
from tripgate.core.model import Target
from tripgate.core.policy import MOST_POLICIES, Policies, Policy, Verb, over

PRESETS: Mapping[str, tuple[str, ...]] = {
    "travel": ("os-update", "app-store", "cloud-sync", "telemetry", "games"),
}
"""Categories that a preset pauses for all, until the uplink is unmetered."""


def set_policy(book: Book, policy: Policy) -> Book:
    """Add a policy; raises :class:`BookError` when there are too many."""
    now = policy.created_at
    kept = [one for one in book.policies if not over(one, now) and not _same(one, policy)]
    if len(kept) >= MOST_POLICIES:
        raise BookError(f"there are {MOST_POLICIES} policies: `tripgate policy clear` makes room")
    taken = {one.id for one in kept}
    number = next(n for n in range(1, MOST_POLICIES + 2) if f"p{n}" not in taken)
    return replace(book, policies=(*kept, replace(policy, id=f"p{number}")))


def clear_policy(book: Book, policy_id: str) -> Book:
    """Raises :class:`BookError` if there is none of that id."""
    kept = tuple(one for one in book.policies if one.id != policy_id)
    if len(kept) == len(book.policies):
        raise BookError(f"no policy {policy_id[:40]!r}: `tripgate policy list` shows them")
    return replace(book, policies=kept)


def set_preset(book: Book, name: str, now: int) -> Book:
    """Put a preset in force in place of any other; ``none`` takes it away."""
    if name != "none" and name not in PRESETS:
        raise BookError(f"no preset {name[:40]!r}: write {', '.join(PRESETS)} or none")
    book = replace(book, policies=tuple(one for one in book.policies if not one.preset))
    for category in PRESETS.get(name, ()):
        policy = Policy("", Verb.PAUSE, category, until_unmetered=True, preset=name, created_at=now)
        book = set_policy(book, policy)
    return book


def compiled(book: Book) -> Policies:
    """The book's policies, ready for decisions."""
    targets: set[Target] = {one.target for one in book.policies}
    labels = {target: target_label(book, target) for target in targets}
    return Policies(book.policies, book.plan.tz if book.plan else "UTC", labels)


def _same(one: Policy, other: Policy) -> bool:
    return (one.what, one.target, one.daily, one.preset) == (
        other.what, other.target, other.daily, other.preset,
    )  # fmt: skip
