"""The router mode: its programs, its guard in the routing rules, and others who use marks.

Rules
1. Nothing is looked at in the explicit mode.
2. The whole of a packet's mark is the gateway's (nftables 1.0.6 cannot merge marks): whoever else
   sets one loses it, or takes ours.
3. Looking needs root; without it the finding says so and nothing is guessed.
"""

import asyncio
import json
import os
import re
import shutil
from typing import Any

from tripgate.cli.doctor.finding import Finding, Machine, fail, ok, warn
from tripgate.kernel import routes
from tripgate.kernel.command import CommandError, run

PACKAGES = {"nft": "nftables", "ip": "iproute2", "dnsmasq": "dnsmasq-base"}
OURS = ("inet tripgate", "arp tripgate")
_TABLE = re.compile(r"^table (\S+ \S+) \{$")
_SETS = re.compile(r"\bmark set\b")


async def router(machine: Machine) -> list[Finding]:
    """All of it, with the link that the gateway's LAN is on."""
    if machine.mode != "router":
        return []
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    if missing:
        names = " ".join(PACKAGES[name] for name in missing)
        return [fail("programs", f"not installed: {', '.join(missing)}", f"apt install {names}")]
    found = [ok("programs", ", ".join(PACKAGES))]
    if os.geteuid() != 0:
        return [*found, warn("guard", "not looked at: needs root", "sudo tripgate doctor")]
    if machine.status is not None and machine.lan is not None:
        found.append(await asyncio.to_thread(guard, machine.lan))
    return [*found, await asyncio.to_thread(others)]


def guard(lan: str) -> Finding:
    """The routing rules that let nothing through when nftables' are gone."""
    mend = "the gateway puts them back within seconds; if not, start it again"
    try:
        if routes.intact(lan):
            return ok("guard", f"stands on {lan}")
        return fail("guard", f"the routing rules for {lan} are not as they should be", mend)
    except OSError as error:
        return fail("guard", str(error), mend)


def others() -> Finding:
    """Who else sets marks or routes by them (rule 2)."""
    try:
        users = [*tables(run(["nft", "list", "ruleset"])), *rules()]
    except (CommandError, ValueError) as error:
        return warn("marks", f"cannot be looked at: {error}", "install nftables and iproute2")
    if not users:
        return ok("marks", "nobody else uses them")
    mend = "end the program that made them, or run it on another machine: a mark has one owner"
    return warn("marks", f"also used by {', '.join(users[:5])}", mend)


def tables(ruleset: str) -> list[str]:
    """Tables of a ruleset, not ours, with a rule that sets a mark."""
    found: dict[str, None] = {}
    table = ""
    for line in ruleset.splitlines():
        if begun := _TABLE.match(line):
            table = begun[1]
        elif _SETS.search(line) and table not in OURS:
            found[f"table {table[:60]}"] = None
    return list(found)


def rules() -> list[str]:
    """Routing rules, not ours, that look at a mark."""
    listed: list[dict[str, Any]] = [
        rule
        for family in routes.FAMILIES
        for rule in json.loads(run(["ip", "-j", family, "rule", "list"]) or "[]")
    ]
    others = (rule.get("priority") for rule in listed if "fwmark" in rule)
    return [f"ip rule {one}" for one in dict.fromkeys(others) if one not in routes.PRIORITIES]
