"""Work that must go on: started again when it fails, and said so.

Rule: a loop of the gateway ends when it is cancelled and not before. What it did not expect is
logged with its trace, once for the same error in a row, and it begins anew after ``AGAIN_S``; what
is granted meanwhile runs out by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

AGAIN_S = 1.0

log = logging.getLogger("tripgate")


async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` again and again until cancelled."""
    said = ""
    while True:
        try:
            await work()
        except Exception as error:
            if repr(error) != said:
                log.exception("%s failed and begins again: %s", name, error)
            said = repr(error)
        await asyncio.sleep(AGAIN_S)
