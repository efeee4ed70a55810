"""What ``tripgate up`` says of itself: the addresses, how to point a device at them, and on a
terminal a live table of who uses what."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.core.units import format_volume
from tripgate.settings import Settings
from tripgate.wiring import Gateway

EVERY_S = 1.0
PORTAL = "open it on a device: its use and its caps"


def announce(settings: Settings, claim: str | None = None) -> None:
    """Print the addresses, one a line, and what to do with them; ``claim``: the one-time code."""
    routed = settings.mode == "router"
    host = settings.subnet.partition("/")[0] if routed else own_address()
    lines = [
        *(_hotspot(settings, host) if routed else ()),
        ("HTTP proxy", _shown(settings.listen, host), "set it as HTTP and HTTPS proxy of a device"),
        ("SOCKS5 proxy", _shown(settings.socks, host), "for programs that speak SOCKS"),
        *(() if routed else (("Portal", _url(settings.portal, host), PORTAL),)),
        ("Metrics", _url(settings.metrics, host, "/metrics"), "for Prometheus, on this machine"),
    ]
    print("tripgate is running.", flush=True)
    for name, where, hint in lines:
        if where:
            print(f"  {name:<13}{where:<34}{hint}", flush=True)
    if settings.listen:
        at = f"127.0.0.1:{settings.listen.port}"
        print(f"  Try           curl -x http://{at} http://example.com/", flush=True)
    if claim and settings.portal:
        print(f"  Claim code    {claim:<34}enter it at the portal: the device that manages others")
    print(f"  State         {settings.state}   (tripgate status, usage, cap set …)", flush=True)


def _hotspot(settings: Settings, host: str) -> list[tuple[str, str, str]]:
    """Devices of a router need no setting: where they are, and what they see."""
    named = f"Wi-Fi {settings.hotspot.ssid}" if settings.hotspot else f"interface {settings.lan}"
    return [
        ("LAN", f"{host} ({named})", "join it: addresses and names come by themselves"),
        ("Portal", f"http://{host}/", "opens by itself; approve: tripgate device approve NAME"),
    ]


def own_address() -> str:
    """The address that devices of the LAN most likely reach this machine by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: no packet is sent, only a route chosen
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _shown(address: Endpoint | None, host: str) -> str:
    if address is None:
        return ""
    return f"{host}:{address.port}" if address.hosts == EVERY_ADDRESS else str(address)


def _url(address: Endpoint | None, host: str, path: str = "/") -> str:
    shown = _shown(address, host)
    return f"http://{shown}{path}" if shown else ""


@contextlib.asynccontextmanager
async def live_table(gateway: Gateway) -> AsyncIterator[None]:
    """On a terminal: who uses what, now. Elsewhere nothing."""
    console = Console()
    if not (console.is_terminal and sys.stdout.isatty()):
        yield
        return
    with Live(_table(gateway), console=console, auto_refresh=False, transient=True) as live:
        task = asyncio.ensure_future(_refresh(live, gateway))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _refresh(live: Live, gateway: Gateway) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        live.update(_table(gateway), refresh=True)


def _table(gateway: Gateway) -> Table:
    status = gateway.status()
    table = Table(caption=f"ledger {status['ledger']} · clock {status['clock']} · Ctrl-C stops")
    for heading in ("device", "person", "state", "flows", "since start", "now"):
        right = heading in ("flows", "since start", "now")
        table.add_column(heading, justify="right" if right else "left")
    for device in sorted(gateway.desk.book.devices.values(), key=lambda one: one.name):
        account = gateway.desk.accounts.get(device.id)
        moved = sum(v for (one, _, _), v in gateway.stats.traffic.items() if one == device.id)
        rate = int(account.budget.rate) if account else 0
        table.add_row(
            device.name,
            device.person or "",
            str(device.state),
            str(len(account.flows)) if account else "0",
            format_volume(moved),
            f"{format_volume(rate)}/s",
        )
    return table
