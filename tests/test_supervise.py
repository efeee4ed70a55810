"""A loop of the gateway that fails begins again."""

import asyncio
import logging
from pathlib import Path

import pytest

from tripgate.clock import SystemClock
from tripgate.settings import Settings
from tripgate.supervise import supervised
from tripgate.wiring import Gateway


class Work:
    """Fails ``failures`` times, then goes on until it is cancelled."""

    def __init__(self, failures: int) -> None:
        self.begun = 0
        self.failures = failures
        self.goes_on = asyncio.Event()

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise RuntimeError("not expected")
        self.goes_on.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tripgate.supervise.AGAIN_S", 0)


async def begun_again(work: Work, task: "asyncio.Future[None]") -> None:
    async with asyncio.timeout(10):
        await work.goes_on.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert work.begun == work.failures + 1


async def test_what_fails_begins_again() -> None:
    work = Work(failures=3)
    await begun_again(work, asyncio.ensure_future(supervised("the work", work.run)))


async def test_the_same_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(failures=3)
    with caplog.at_level(logging.ERROR, "tripgate"):
        await begun_again(work, asyncio.ensure_future(supervised("the work", work.run)))
    (said,) = [one.getMessage() for one in caplog.records]
    assert said == "the work failed and begins again: not expected"


async def test_what_is_cancelled_has_ended() -> None:
    work = Work(failures=0)
    task = asyncio.ensure_future(supervised("the work", work.run))
    await work.goes_on.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.begun == 1


async def test_the_loops_of_a_gateway_begin_again(tmp_path: Path) -> None:
    gateway = Gateway(Settings(state=tmp_path / "state"), SystemClock())
    work = Work(failures=1)
    gateway._spawn("the work", work.run)
    (task,) = gateway._tasks
    await begun_again(work, task)
