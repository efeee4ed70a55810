"""The end of a gateway: in order, in bounded time, broken off by nobody."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from tripgate.ending import Ending, end_all, unbroken


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGAIN_S", "PART_S", "WHOLE_S", "LEAST_S"):
        monkeypatch.setattr(f"tripgate.ending.{name}", 0.05)


async def stubborn(cancellations: int) -> None:
    """Ends with the last of so many cancellations."""
    while cancellations:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancellations -= 1


async def test_a_task_that_lost_its_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tripgate.ending.AGAIN_S", 0.01)
    task = asyncio.ensure_future(stubborn(3))
    await asyncio.sleep(0)
    assert await end_all([task])
    assert task.done()


async def test_a_task_that_does_not_end_is_named_and_left(
    impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    task = asyncio.create_task(stubborn(1000), name="the stubborn one")
    await asyncio.sleep(0)
    assert not await end_all([task])
    assert "the stubborn one" in caplog.text
    await finish(task)


async def finish(task: "asyncio.Task[None]") -> None:
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def test_parts_end_in_the_reverse_order_of_their_start() -> None:
    order: list[str] = []
    ending = Ending()
    for name in ("folder", "ledger", "relay"):
        ending.then(name, lambda name=name: order.append(name))
    await ending.run()
    assert order == ["relay", "ledger", "folder"]
    assert ending.left == []


async def test_what_hangs_or_fails_is_named_and_the_rest_ends(
    impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []
    ending = Ending()
    ending.then("the rules", lambda: ended.append("rules"))
    ending.then("the ledger", lambda: asyncio.Event().wait())
    ending.then("the journal", Path("/nonexistent").read_bytes)
    with caplog.at_level(logging.ERROR, "tripgate"):
        await ending.run()
    assert ended == ["rules"]
    assert ending.left == ["the journal", "the ledger"]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "left behind",
        "left behind after 0 s",
    ]


async def test_an_end_that_has_begun_is_not_broken_off() -> None:
    ended, going = [], asyncio.Event()

    async def put_back() -> None:
        await going.wait()
        ended.append("rules")

    ending = Ending()
    ending.then("the rules", put_back)
    task = asyncio.ensure_future(ending.run())
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["rules"]


async def test_a_thread_is_waited_for_by_whoever_is_cancelled() -> None:
    begun, going, made = threading.Event(), threading.Event(), []

    def make() -> None:
        begun.set()
        going.wait(10)
        made.append("rules")

    task = asyncio.ensure_future(unbroken(asyncio.to_thread(make)))
    while not begun.is_set():  # noqa: ASYNC110 - set by a thread
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made == ["rules"]
