"""What ``tripgate up`` says of itself: the addresses, how to point a device at them, and on a
terminal a live table of who uses what."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from ipaddress import IPv4Address

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tripgate.core.address import client_allowed
from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.core.units import format_volume
from tripgate.settings import Settings
from tripgate.wiring import Gateway

EVERY_S = 1.0
PATIENCE_S = 2.0
log = logging.getLogger("tripgate.announce")

PORTAL = "open it on a device: its use and its caps"


async def announce(settings: Settings, claim: str | None = None) -> None:
    """Print what :func:`described` says. Whoever reads it may have stopped, or never been: this
    waits for ``PATIENCE_S`` at most, and who ends the gateway neither for the thread nor for a lock
    that it holds."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell() -> None:
        try:
            text = described(settings, claim).encode(errors="surrogateescape")
            _write(sys.stdout.fileno(), text)
        except (OSError, ValueError, AttributeError):  # closed before, or meanwhile
            log.warning("the addresses cannot be printed: see tripgate status")
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=tell, name="announce", daemon=True).start()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def described(settings: Settings, claim: str | None = None) -> str:
    """The addresses, one a line, and what to do with them; ``claim``: the one-time code."""
    routed = settings.mode == "router"
    lan = settings.subnet.partition("/")[0]
    hosts = [lan] if routed else own_addresses()
    lines = [
        *(_hotspot(settings, lan) if routed else ()),
        *_served(
            "HTTP proxy", settings.listen, hosts, "set it as HTTP and HTTPS proxy of a device"
        ),
        *_served("SOCKS5 proxy", settings.socks, hosts, "for programs that speak SOCKS"),
        *(() if routed else _served("Portal", settings.portal, hosts, PORTAL, "/")),
        *_served("Metrics", settings.metrics, hosts, "for Prometheus, on this machine", "/metrics"),
    ]
    if settings.listen:
        at = f"127.0.0.1:{settings.listen.port}"
        lines.append(("Try", f"curl -x http://{at} http://example.com/", ""))
    if claim and settings.portal:
        lines.append(
            ("Claim code", claim, "enter it at the portal: the device that manages others")
        )
    lines.append(("State", str(settings.state), "(tripgate status, usage, cap set …)"))
    width = max(len(where) for _, where, hint in lines if hint)
    told = (f"  {name:<13}{where:<{width}}  {hint}".rstrip() for name, where, hint in lines)
    return "\n".join(("tripgate is running.", *told, ""))


def own_addresses() -> list[str]:
    """The private IPv4 addresses of this machine that devices may reach it by, the one on the way
    to the internet first; that one alone where there is no private one or the kernel tells none."""
    first = own_address()
    found = sorted({str(one) for one in _assigned() if client_allowed(one) and not one.is_loopback})
    if not found:
        return [first]
    return [first, *(one for one in found if one != first)] if first in found else found


def _assigned() -> list[IPv4Address]:
    """Every IPv4 address of an interface; none where the kernel is not asked by netlink."""
    try:
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            given = (dict(one["attrs"]) for one in ip.get_addr(family=socket.AF_INET))
            return [IPv4Address(one["IFA_LOCAL"]) for one in given if "IFA_LOCAL" in one]
    except (ImportError, OSError):
        return []


def _hotspot(settings: Settings, host: str) -> list[tuple[str, str, str]]:
    """Devices of a router need no setting: where they are, and what they see."""
    named = f"Wi-Fi {settings.hotspot.ssid}" if settings.hotspot else f"interface {settings.lan}"
    return [
        ("LAN", f"{host} ({named})", "join it: addresses and names come by themselves"),
        ("Portal", f"http://{host}/", "opens by itself; approve: tripgate device approve NAME"),
    ]


def own_address() -> str:
    """This machine's address on the way to the internet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: no packet is sent, only a route chosen
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _served(
    name: str, address: Endpoint | None, hosts: list[str], hint: str, path: str | None = None
) -> list[tuple[str, str, str]]:
    """A line for each address of a server; ``path``: it is a web server's."""
    if address is None:
        return []
    every = address.hosts == EVERY_ADDRESS
    shown = [f"{host}:{address.port}" for host in hosts] if every else [str(address)]
    told = shown if path is None else [f"http://{one}{path}" for one in shown]
    return [(name, told[0], hint), *(("", one, "the same, in another network") for one in told[1:])]


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
