"""Live views: draw again each second until Ctrl-C or SIGTERM; both are an ordinary end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from tripgate.cli.output import console, put, say

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESH_S = 1.0


def refuse_json_watch(*, as_json: bool, watch: bool) -> None:
    """``--json`` is one document; a live table is none."""
    if as_json and watch:
        raise typer.BadParameter("--watch is for people: leave out --json", param_hint="--watch")


async def refresh(frame: Callable[[], Awaitable["RenderableType"]]) -> None:
    """Show ``frame()`` each second: in place on a terminal; elsewhere one after the other, each
    below a line with the time."""
    from rich.live import Live

    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    screen = console()
    first = await frame()
    if not screen.is_terminal:
        await _repeat(stop, frame, first, _put_stamped)
        return
    with Live(first, console=screen, auto_refresh=False) as live:
        await _repeat(stop, frame, first, lambda drawn: live.update(drawn, refresh=True))


def _put_stamped(drawn: "RenderableType") -> None:
    say(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    put(drawn)


async def _repeat(
    stop: asyncio.Event,
    frame: Callable[[], Awaitable["RenderableType"]],
    drawn: "RenderableType",
    show: Callable[["RenderableType"], None],
) -> None:
    while True:
        show(drawn)
        try:
            async with asyncio.timeout(REFRESH_S):
                await stop.wait()
        except TimeoutError:
            drawn = await frame()
        else:
            return
