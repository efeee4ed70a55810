"""The end of tasks, and of what is made of parts.

Rules
1. Parts end in the reverse order of their start, each in its own time, whatever became of the one
   before: the leases are settled although a connection hangs, and rules are put back although the
   ledger does.
2. What hangs or fails is named and left behind. A part has ``PART_S``; once ``WHOLE_S`` are over
   each of the rest has ``LEAST_S``.
3. An end that has begun is not broken off: who is cancelled meanwhile is cancelled afterwards.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

AGAIN_S = 1.0
PART_S = 10.0
WHOLE_S = 20.0
LEAST_S = 1.0

T = TypeVar("T")
Work = Callable[[], Awaitable[object] | None]

log = logging.getLogger("tripgate")


async def unbroken(work: Awaitable[T]) -> T:
    """Wait for ``work`` to its end, also when that is cancelled: a thread goes on all the same, and
    what it makes must be there before it is taken back."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.cancelled() or task.exception()  # looked at: this cancellation is the news
        raise cancelled
    return task.result()


async def end_all(tasks: Collection[asyncio.Future[None]]) -> bool:
    """Cancel tasks until they have ended: a cancellation may be lost on its way (a wait that is
    over in the same turn of the loop, before Python 3.12), and the task goes on. False: some have
    not ended after ``PART_S``."""
    deadline = asyncio.get_running_loop().time() + PART_S
    while pending := [task for task in tasks if not task.done()]:
        if asyncio.get_running_loop().time() >= deadline:
            log.error("left behind, they do not end: %s", ", ".join(map(_name, pending)))
            return False
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=min(AGAIN_S, PART_S))
    return True


def _name(task: "asyncio.Future[None]") -> str:
    return task.get_name() if isinstance(task, asyncio.Task) else repr(task)


class Ending:
    """The parts of what has been started so far."""

    def __init__(self) -> None:
        self.left: list[str] = []
        """The parts that have not ended."""
        self.begun = False
        self._parts: list[tuple[str, Work]] = []

    def then(self, name: str, work: Work) -> None:
        """``work`` ends the part ``name``, before all that were named earlier."""
        self._parts.append((name, work))

    async def run(self) -> None:
        """End everything; never fails, and does nothing the second time."""
        self.begun = True
        await unbroken(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WHOLE_S
        while self._parts:
            name, work = self._parts.pop()
            seconds = min(PART_S, max(LEAST_S, deadline - loop.time()))
            task = asyncio.ensure_future(_called(work))
            await asyncio.wait([task], timeout=seconds)
            if not task.done():
                self.left.append(name)
                log.error("left behind after %.0f s: %s does not end", seconds, name)
                task.cancel()
            elif task.cancelled() or (error := task.exception()) is None:
                continue
            else:
                self.left.append(name)
                log.error("left behind: %s does not end: %r", name, error, exc_info=error)


async def _called(work: Work) -> None:
    ended = work()
    if inspect.isawaitable(ended):
        await ended
