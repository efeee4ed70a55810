"""The book of settings, whoever keeps it."""

import asyncio
from dataclasses import replace

import pytest

from tests.ledger.worlds import NOW, World
from tripgate.core import book as books
from tripgate.core.book import EMPTY, Book
from tripgate.core.model import Device, DeviceState
from tripgate.ledger.protocol import AuditEntry, Edit, Registry

EDIT = Edit("cli:ana", "person add", "ana", NOW)
ANA, BEN = books.add_person(EMPTY, "ana", NOW), books.add_person(EMPTY, "ben", NOW)


async def test_a_new_ledger_has_an_empty_book_of_version_0(world: World) -> None:
    assert await world.registry().load() == (0, EMPTY)


async def test_what_was_put_is_read_by_others_under_the_next_version(world: World) -> None:
    assert await world.registry().replace(0, ANA, EDIT)
    assert await world.registry().load() == (1, ANA)


async def test_of_two_edits_of_one_version_the_second_is_told(world: World) -> None:
    first, second = world.registry(), world.registry()
    assert await first.replace(0, ANA, EDIT)
    assert not await second.replace(0, BEN, EDIT)
    assert await second.load() == (1, ANA)
    assert len(await second.audit()) == 1


async def test_of_many_edits_at_once_exactly_one_wins(world: World) -> None:
    registries = [world.registry() for _ in range(8)]
    edits = [
        registry.replace(0, books.add_person(EMPTY, f"p{n}"), replace(EDIT, detail=f"p{n}"))
        for n, registry in enumerate(registries)
    ]
    won = await asyncio.gather(*edits)
    version, book = await registries[0].load()
    assert (version, sum(won)) == (1, 1)
    assert list(book.people) == [f"p{won.index(True)}"]
    assert [entry.detail for entry in await registries[0].audit()] == [f"p{won.index(True)}"]


async def test_every_edit_is_audited_newest_first(world: World) -> None:
    registry = world.registry()
    for version, name in enumerate(("ana", "ben", "cleo")):
        edit = Edit("cli:ana", "person add", name, NOW + version)
        assert await registry.replace(version, books.add_person(EMPTY, name), edit)
    assert await registry.audit(2) == (
        AuditEntry(NOW + 2, "cli:ana", "person add", "cleo"),
        AuditEntry(NOW + 1, "cli:ana", "person add", "ben"),
    )


async def test_whoever_listens_is_told_of_every_edit(world: World) -> None:
    registry, editor = world.registry(), world.registry()
    changes = aiter(registry.changes())
    await anext(changes)
    for version, book in enumerate((ANA, BEN)):
        waiting = asyncio.ensure_future(_seen(registry, changes))
        assert await editor.replace(version, book, EDIT)
        assert await asyncio.wait_for(waiting, 5) == (version + 1, book)


async def _seen(registry: Registry, changes: object) -> tuple[int, Book]:
    await anext(changes)  # type: ignore[call-overload]
    return await registry.load()


async def test_a_book_of_every_thing_comes_back_as_it_was(world: World) -> None:
    device = Device("dev-aaaa", "phone", DeviceState.APPROVED, "ana", None, ("host",), slot=2)
    full = replace(ANA, devices={device.id: device})
    registry = world.registry()
    assert await registry.replace(0, full, EDIT)
    assert (await registry.load())[1] == full


async def test_settings_that_could_not_be_read_again_are_not_put(world: World) -> None:
    people = {f"p{n}": books.Person("x" * 32) for n in range(30_000)}
    with pytest.raises(books.BookError, match="too large"):
        await world.registry().replace(0, Book(people=people), EDIT)
    assert await world.registry().load() == (0, EMPTY)
