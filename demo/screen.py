"""What the demo shows: where to look, and on a terminal a live table, elsewhere a line each time.

All figures are the gateway's own, read by its command line.
"""

import asyncio
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.family import DEVICES, doing
from demo.house import ROOT, House
from tripgate.core.units import format_volume


class Screen:
    """A context: while it lasts the terminal shows the table."""

    def __init__(self, places: list[tuple[str, str]], state: Path) -> None:
        self._console = Console()
        self._places, self._state = places, state
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._say_where()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def _say_where(self) -> None:
        print("\nThe family is up. Look at:", flush=True)
        for url, what in self._places:
            print(f"  {url:<66}{what}", flush=True)
        program = f"{ROOT}/.venv/bin/tripgate"
        print("In another terminal, as root:")
        print(f"  export TRIPGATE_STATE={self._state}")
        print(f"  {program} usage --by device,service")
        print(f"  {program} policy list          # what was held back, and how often")
        print(f"  {program} cap set bens-tablet 100MB/day   # works within a second")
        print("Ctrl-C ends it all.\n", flush=True)

    async def show(self, house: House, hour: float) -> None:
        """Read the gateway and show what it says; a reading that fails is left out."""
        try:
            found = await asyncio.to_thread(house.read, "device", "list")
        except subprocess.TimeoutExpired:
            return
        devices = {one["name"]: one for one in found}
        if self._live:
            self._live.update(_table(devices, hour), refresh=True)
        else:
            used = (
                f"{one.name} {format_volume(devices[one.name]['used_today'])}"
                for one in DEVICES
                if one.name in devices
            )
            print(f"{_clock(hour)}  {'  '.join(used)}", flush=True)


def _clock(hour: float) -> str:
    return f"{int(hour):02}:{int(hour % 1 * 60):02}"


def _table(devices: dict[str, Any], hour: float) -> Group:
    table = Table(title=f"A day of the family: {_clock(hour)}", title_justify="left")
    for heading in ("device", "person", "does now", "used", "limits"):
        table.add_column(heading, justify="right" if heading == "used" else "left")
    for one in DEVICES:
        known = devices.get(one.name)
        if known is None:
            continue
        now = dict.fromkeys(activity.what for activity in doing(one.name, hour))
        limits = Text(", ".join(_cap(cap) for cap in known["caps"]))
        limits.stylize("red" if any(cap["reached"] for cap in known["caps"]) else "green")
        used = format_volume(known["used_today"])
        table.add_row(one.name, one.person, ", ".join(now), used, limits)
    return Group(table, Text("What is paused or over its limit is tried again all the time."))


def _cap(cap: dict[str, Any]) -> str:
    if cap["reached"]:
        return f"{format_volume(cap['limit'])} a {cap['period']} reached"
    return f"{format_volume(cap['remaining'])} left of {format_volume(cap['limit'])}"
