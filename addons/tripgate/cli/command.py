"""What commands are made of: show a document, or change the book and show what came of it.

Rules
1. ``show``: fetch a document, then print it as JSON or draw it, instants in the plan's zone.
2. ``edit``: load, apply a pure change, compare-and-set, audited. A lost race is run again once,
   where running it again means the same; a second loss is told to the person.
3. A change that changes nothing writes nothing.
"""

import asyncio
import os
import pwd
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tripgate.cli.cells import in_zone
from tripgate.cli.documents import Snapshot, snapshot
from tripgate.cli.failure import Refused
from tripgate.cli.output import print_json, put
from tripgate.cli.store import Store, opened
from tripgate.core.book import Book
from tripgate.core.folding import folds
from tripgate.ledger.protocol import Edit, Registry

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")
LOST = "somebody changed the settings at the same moment: run it again"


@dataclass(frozen=True, slots=True)
class Change:
    """An audited edit. ``apply`` gives the new book and the audit's detail.

    ``again``: applying it to a newer book means the same to the person who asked.
    """

    action: str
    apply: Callable[[Book], tuple[Book, str]]
    again: bool = True


def now() -> int:
    """UTC epoch seconds."""
    return int(time.time())


def actor() -> str:
    """Who edits: the account the program runs as, not what the environment claims."""
    uid = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"cli:{uid}"


def run(state: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    """Run ``work`` on the ledger of the state folder; ``LedgerDown`` or ``NoGateway`` if none."""

    async def body() -> T:
        async with opened(state) as store:
            return await work(store)

    return asyncio.run(body())


def present(document: T, draw: Callable[[T], "RenderableType"], *, as_json: bool) -> None:
    """Print a document for programs or for people."""
    if as_json:
        print_json(document)
    else:
        put(draw(document))


async def zone(store: Store) -> str:
    """The plan's zone."""
    plan = (await store.registry.load())[1].plan
    return plan.tz if plan else "UTC"


def tell(
    state: Path | None,
    work: Callable[[Store], Awaitable[T]],
    draw: Callable[[T], "RenderableType"],
    *,
    as_json: bool,
) -> None:
    """Print what ``work`` makes of the ledger; for people, with instants in the plan's zone."""

    async def both(store: Store) -> tuple[T, str]:
        return await work(store), await zone(store)

    document, name = run(state, both)
    with in_zone(name):
        present(document, draw, as_json=as_json)


def show(
    state: Path | None,
    fetch: Callable[[Snapshot], T],
    draw: Callable[[T], "RenderableType"],
    *,
    as_json: bool,
) -> None:
    """Print what ``fetch`` makes of the book and its counters."""

    async def work(store: Store) -> T:
        return fetch(await snapshot(store, now()))

    tell(state, work, draw, as_json=as_json)


async def commit(registry: Registry, change: Change, at: int) -> None:
    """Apply ``change`` by compare-and-set. Raises :class:`Refused` when the race is lost."""
    for _ in range(2 if change.again else 1):
        version, book = await registry.load()
        new, detail = change.apply(book)
        if new == book:
            return
        made = Edit(actor(), change.action, detail, at, folds(book, new))
        if await registry.replace(version, new, made):
            return
    raise Refused(LOST)


def edit(
    state: Path | None,
    change: Change,
    fetch: Callable[[Snapshot], T],
    draw: Callable[[T], "RenderableType"],
    *,
    as_json: bool,
) -> None:
    """Apply ``change`` and print what ``fetch`` makes of the result."""

    async def work(store: Store) -> T:
        await commit(store.registry, change, now())
        return fetch(await snapshot(store, now()))

    tell(state, work, draw, as_json=as_json)
