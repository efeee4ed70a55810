"""The control socket: one JSON document for whoever may open it."""

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tripgate.cli.control import ask
from tripgate.proxy import control


def status(**values: Any) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A gateway's answer."""

    async def answer() -> dict[str, Any]:
        return values

    return answer


async def test_the_status_is_told_to_the_cli(tmp_path: Path) -> None:
    async with await control.serve(tmp_path / "socket", status(flows=3)):
        assert await asyncio.to_thread(ask, tmp_path / "socket") == {"flows": 3}


async def test_only_the_owner_may_open_it(tmp_path: Path) -> None:
    async with await control.serve(tmp_path / "socket", status()):
        assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o600


async def test_a_group_that_shares_the_folder_may_open_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    async with await control.serve(tmp_path / "socket", status()):
        assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o660


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    async with await control.serve(tmp_path / "socket", status(flows=0)):
        assert await asyncio.to_thread(ask, tmp_path / "socket") == {"flows": 0}


async def test_an_asker_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    async with await control.serve(tmp_path / "socket", status(much="x" * 500_000)):
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
        writer.transport.abort()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
        assert len(json.loads(await reader.read())["much"]) == 500_000
        writer.close()
