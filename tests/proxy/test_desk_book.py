"""The lease desk and the book: devices that go, books that come late, accounts forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core import book
from tripgate.core.book import Book
from tripgate.core.model import DeviceState
from tripgate.ledger.protocol import Edit


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World().open(tmp_path)
    yield made
    await made.journal.aclose()


GONE = {"blocked": book.block_device, "forgotten": book.forget_device}


@pytest.mark.parametrize("change", GONE.values(), ids=GONE)
async def test_a_device_that_goes_between_admission_and_connect_gets_no_grant(
    world: World, change: Callable[[Book, str], Book]
) -> None:
    assert await world.desk.more(world.account)
    await world.edit(lambda current: change(current, "phone"))
    assert await world.move(world.flow(), 1) == 0
    await world.settler.settle()
    assert await world.move(world.flow(), 1) == 0


async def test_a_device_that_is_blocked_while_others_are_settled_gets_no_grant(
    world: World,
) -> None:
    async def settle_and_block() -> bool:
        world.desk.lost = False
        await world.edit(lambda current: book.block_device(current, "phone"))
        return True

    world.desk.lost, world.desk.settle_now = True, settle_and_block
    assert not await world.desk.more(world.account)
    assert world.account.budget.granted == 0


async def test_a_book_that_was_read_before_a_newer_one_does_not_replace_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, answer = world.registry.load, asyncio.Event()

    async def change(edit: Callable[[Book], Book]) -> None:
        version, current = await load()
        assert await world.registry.replace(version, edit(current), Edit("test", "edit"))

    async def slow() -> tuple[int, Book]:
        found = await load()
        monkeypatch.setattr(world.registry, "load", load)
        await answer.wait()
        return found

    await change(lambda current: book.add_person(current, "ana"))
    monkeypatch.setattr(world.registry, "load", slow)
    first = asyncio.ensure_future(world.desk.reload())
    await asyncio.sleep(0)
    await change(lambda current: book.block_device(current, "phone"))
    second = asyncio.ensure_future(world.desk.reload())
    for _ in range(10):
        await asyncio.sleep(0)
    answer.set()
    await asyncio.gather(first, second)
    assert world.desk.book.devices[world.phone.id].state is DeviceState.BLOCKED


async def test_the_account_of_a_device_that_is_not_let_in_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.edit(lambda current: book.block_device(current, "phone"))
    assert world.account.device in world.desk.accounts
    monkeypatch.setattr("tripgate.proxy.settle.EVERY_S", 0)
    running = asyncio.ensure_future(world.settler.run())
    try:
        async with asyncio.timeout(10):
            while world.desk.accounts:  # noqa: ASYNC110 - the loop has no event for it
                await asyncio.sleep(0)
    finally:
        running.cancel()
