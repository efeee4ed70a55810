"""A change of the book from a page: compare-and-set, audited as ``portal:DEVICE``.

Rules
1. What a person asked is applied to the newest book; a lost race is run again, a few times.
2. A change that changes nothing writes nothing.
3. The gateway follows the book before the page is answered.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tripgate.core.book import Book
from tripgate.core.folding import folds
from tripgate.core.model import Device
from tripgate.ledger.protocol import Edit
from tripgate.portal.world import World

TRIES = 3


class Lost(Exception):
    """Others were faster each time."""


@dataclass(frozen=True, slots=True)
class Change:
    """``apply`` gives the new book and the audit's detail; may raise :class:`BookError`."""

    action: str
    apply: Callable[[Book], tuple[Book, str]]


async def commit(world: World, actor: Device, change: Change) -> None:
    """Raises :class:`Lost`, :class:`BookError` or :class:`LedgerDown`."""
    for _ in range(TRIES):
        version, book = await world.registry.load()
        new, detail = change.apply(book)
        if new == book:
            return
        edit = Edit(f"portal:{actor.name}", change.action, detail, world.now(), folds(book, new))
        if await world.registry.replace(version, new, edit):
            await world.reload()
            return
    raise Lost
