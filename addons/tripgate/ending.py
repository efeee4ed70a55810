"""The end of tasks."""

import asyncio
from collections.abc import Collection

AGAIN_S = 1.0


async def end_all(tasks: Collection[asyncio.Future[None]]) -> None:
    """Cancel tasks until they have ended: a cancellation may be lost on its way (a wait that is
    over in the same turn of the loop, before Python 3.12), and the task goes on."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)
