"""``tripgate status``: what the live gateway says of itself."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tripgate.cli.cells import volume
from tripgate.cli.command import present
from tripgate.cli.control import ask
from tripgate.cli.options import Json, State, Watch, example
from tripgate.cli.output import clean, facts
from tripgate.cli.store import no_gateway
from tripgate.cli.watch import refresh, refuse_json_watch
from tripgate.statefind import find

if TYPE_CHECKING:
    from rich.console import RenderableType

EPILOG = example("tripgate status", "tripgate status --watch")


def status(state: State = None, watch: Watch = False, as_json: Json = False) -> None:
    """Mode, ledger, clock, flows, devices, uplink. Exit code 3 where no gateway runs."""
    refuse_json_watch(as_json=as_json, watch=watch)
    if watch:
        asyncio.run(refresh(lambda: _frame(state)))
    else:
        present(_ask(state), _draw, as_json=as_json)


async def _frame(state: Path | None) -> "RenderableType":
    return _draw(await asyncio.to_thread(_ask, state))


def _ask(state: Path | None) -> dict[str, Any]:
    folder = find(state)
    document = ask(folder.control_socket)
    if document is None:
        raise no_gateway(folder)
    return document


def _draw(status: dict[str, Any]) -> "RenderableType":
    uplink = status.get("uplink")
    uplink = uplink if isinstance(uplink, dict) else {}
    down = dead_uplinks(status)
    rows = [
        ("mode", _text(status.get("mode"))),
        ("version", _text(status.get("version"))),
        ("ledger", _text(status.get("ledger"))),
        ("clock", _text(status.get("clock"))),
        ("flows", _text(status.get("flows"))),
        ("devices", _text(status.get("devices"))),
        ("uplink", "  ".join(f"{key} {_volume(uplink.get(key))}" for key in UPLINK) + SINCE),
        *((("", f"{', '.join(down)} down: no carrier or default route"),) if down else ()),
        ("up for", _span(status.get("uptime_s"))),
    ]
    return facts(rows)


SINCE = "  since the start"


def dead_uplinks(status: Mapping[str, Any]) -> list[str]:
    """The uplinks that the gateway says are down."""
    told = status.get("uplinks")
    rows = told.items() if isinstance(told, dict) else ()
    return [clean(str(k)) for k, v in rows if isinstance(v, dict) and v.get("link") == "down"]


UPLINK = ("up", "down", "unattributed")


def _text(value: object) -> str:
    return "-" if value is None else clean(str(value))


def _volume(value: object) -> str:
    return volume(value) if isinstance(value, int) else "-"


def _span(seconds: object) -> str:
    """``3 d 04:05:06``."""
    if not isinstance(seconds, int | float):
        return "-"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hour:02}:{minute:02}:{second:02}"
