"""The control socket: whoever may open it is told the gateway's status as one JSON document."""

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

WRITE_S = 2.0


async def serve(path: Path, status: Callable[[], Awaitable[dict[str, Any]]]) -> asyncio.Server:
    """Listen on ``path`` (mode 0600, or 0660 where a group shares the folder); a stale socket of a
    dead gateway is replaced."""

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(json.dumps(await status()).encode())
            async with asyncio.timeout(WRITE_S):
                await writer.drain()
        except OSError:
            pass  # the asker is gone
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(tell, str(path), backlog=16)
    path.chmod(0o660 if path.parent.stat().st_mode & stat.S_IWGRP else 0o600)
    return server
