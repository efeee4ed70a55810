"""Ports: free for the gateway, or answering as the gateway does.

Rules
1. Without a live gateway every port that it was last started with must be free; before the first
   start, every port of the settings.
2. With one, its own addresses are looked at, whatever the settings say: whoever listens there must
   answer as that server does, and a free port is a server that is gone.
3. A probe sends nothing that the gateway would pass on.
"""

import asyncio
import errno
import socket

from tripgate.cli.doctor.finding import Finding, Machine, fail, ok, warn
from tripgate.cli.status import dead_uplinks
from tripgate.core.endpoint import Endpoint
from tripgate.lastrun import LastRun

ANSWER_S = 2.0
HTTP = (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"HTTP/1.")
SOCKS = (b"\x05\x01\x00", b"\x05")
PROBES = {"listen": HTTP, "socks": SOCKS, "portal": HTTP, "metrics": HTTP}


async def gateway(machine: Machine) -> list[Finding]:
    """Does a live one answer at its control socket?"""
    if machine.status is None:
        if machine.folder.is_held():
            mend = "wait a moment; if it stays so, stop it (Ctrl-C) and start it again"
            return [fail("gateway", "runs and does not answer", mend)]
        return [_at_rest(machine.last)]
    if machine.status.get("ledger") != "up":
        return [fail("gateway", "runs without its ledger: nothing passes", "see the line redis")]
    return [ok("gateway", f"runs, version {machine.status.get('version')}")]


def _at_rest(last: LastRun | None) -> Finding:
    """No gateway runs: what has the last one left?"""
    if last is None or (last.ended and not last.left_closed):
        return ok("gateway", "not running")
    if last.left_closed:
        how = "stopped" if last.ended else "ended uncleanly"
        mend = "start it again, or open the machine: tripgate router remove"
        make = warn if last.ended else fail
        return make("gateway", f"the gateway {how}, the LAN is closed", mend)
    return ok("gateway", "not running; it ended uncleanly, the next start settles what was open")


async def uplinks(machine: Machine) -> list[Finding]:
    """Has a running router's uplink a carrier and a way out? One of several that is down is no
    failure."""
    said = (machine.status or {}).get("uplinks")
    names = list(said) if isinstance(said, dict) else []
    dead = dead_uplinks(machine.status or {})
    if not names:
        return []
    if not dead:
        return [ok("uplink", f"{', '.join(names)}: with carrier and default route")]
    make = fail if len(dead) == len(names) else warn
    mend = (
        "plug the cable or the modem in, join the Wi-Fi, bring it up: `ip link set NAME up`, and "
        "see that it gets an address (DHCP)"
    )
    one = "have" if len(dead) > 1 else "has"
    return [make("uplink", f"{', '.join(dead)} {one} no carrier or default route", mend)]


async def ports(machine: Machine) -> list[Finding]:
    """Each address of the settings."""
    return [
        await _port(name, endpoint, running=machine.status is not None)
        for name, endpoint in machine.endpoints.items()
    ]


async def _port(name: str, endpoint: Endpoint | None, *, running: bool) -> Finding:
    check = f"port {name}"
    if endpoint is None:
        return ok(check, "off")
    mend = f"end what listens there, or use --{name} with another port"
    problem = busy(endpoint)
    if problem == errno.EACCES:
        return fail(check, f"{endpoint} needs root", f"use --{name} with a port above 1023")
    if problem is None:
        if running:
            mend = "start the gateway again: its server there is gone"
            return warn(check, f"{endpoint} is free", mend)
        return ok(check, f"{endpoint} is free")
    if not running:
        return fail(check, f"{endpoint} is taken", mend)
    if await answers(endpoint, *PROBES[name]):
        return ok(check, f"{endpoint} answers")
    return fail(check, f"{endpoint} does not answer as it should", mend)


def busy(endpoint: Endpoint) -> int | None:
    """The error number of the first host that cannot be bound; None: all are free.

    A machine without IPv6, or without that address, has nobody listening on it.
    """
    for host in endpoint.hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((host, endpoint.port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return error.errno
    return None


async def answers(endpoint: Endpoint, question: bytes, answer: bytes) -> bool:
    """Does the server there begin its answer as expected?"""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.hosts[0], endpoint.hosts[0])  # noqa: S104
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, endpoint.port)
            try:
                writer.write(question)
                return await reader.readexactly(len(answer)) == answer
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
