"""Shell completion of names: what the ledger knows, or nothing where it does not answer."""

from pathlib import Path

import typer

from tripgate.cli.failure import NoGateway
from tripgate.core.book import Book, BookError
from tripgate.ledger.protocol import LedgerDown, NewerState


def device_names(context: typer.Context, incomplete: str) -> list[str]:
    """Devices by name."""
    book = _book(context)
    return sorted(device.name for device in book.devices.values()) if book else []


def person_names(context: typer.Context, incomplete: str) -> list[str]:
    """People."""
    book = _book(context)
    return sorted(book.people) if book else []


def target_names(context: typer.Context, incomplete: str) -> list[str]:
    """What a cap can be on."""
    book = _book(context)
    if not book:
        return ["plan"]
    people = [f"person:{name}" for name in sorted(book.people)]
    return [*sorted(device.name for device in book.devices.values()), *people, "plan"]


def _book(context: typer.Context) -> Book | None:
    from tripgate.cli.command import run
    from tripgate.cli.store import Store

    async def load(store: Store) -> Book:
        return (await store.registry.load())[1]

    state = context.params.get("state") or context.find_root().params.get("state")
    try:
        return run(state if isinstance(state, Path) else None, load)
    except (NoGateway, LedgerDown, NewerState, BookError, OSError):
        return None
