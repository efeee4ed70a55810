"""The kernel's switches that the router mode needs.

Rules
1. Where the gateway can set them itself, it does so at its start: then they are fine as they are.
2. In a container ``/proc/sys`` is read-only: the host must have set them before.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from tripgate.cli.doctor.finding import Finding, Machine, fail, ok

PROC = Path("/proc/sys")
FILE = "/etc/sysctl.d/tripgate.conf"


async def sysctls(machine: Machine) -> list[Finding]:
    """Those of the uplinks and of forwarding; none in explicit mode."""
    if machine.router is None:
        return []
    return [judge(await asyncio.to_thread(_needed, *machine.router))]


def _needed(lan: str, named: str) -> dict[str, str]:
    """In a thread of its own: netlink's client brings its own event loop."""
    from tripgate.kernel import addresses, tuning

    links = addresses.default_links() if named == "auto" else named.split(",")
    uplinks = [link for link in links if link != lan]
    return tuning.needed(uplinks, v6=addresses.has_ipv6(uplinks))


def judge(needed: Mapping[str, str], proc: Path = PROC) -> Finding:
    """Compare names below ``proc`` with the values that they must have."""
    found = {name: (proc / name).read_text(encoding="ascii").strip() for name in needed}
    other = [name for name in needed if found[name] != needed[name]]
    if not other:
        return ok("sysctls", "as a router needs them")
    if all(os.access(proc / name, os.W_OK) for name in other):
        return ok("sysctls", f"set at the start: {', '.join(other)}")
    detail = "; ".join(f"{name} is {found[name]}, needed {needed[name]}" for name in other)
    settings = " ".join(f"{name}={needed[name]}" for name in other)
    mend = f"as root, in a container's host: sysctl -w {settings} (for every boot: {FILE})"
    return fail("sysctls", detail, mend)
