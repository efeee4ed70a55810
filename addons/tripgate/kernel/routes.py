"""Routing: TPROXY's way to the gateway's own sockets, and the guard outside nftables.

Rules, for both families, in this order after the table of local addresses
1. What comes from the LAN with the TPROXY bit is delivered here: ``local default dev lo`` in a
   table of ours.
2. What comes from the LAN with the OPEN bit is routed as usual.
3. All else from the LAN is prohibited. The bits are set by nftables alone: with its rules flushed
   nothing is routed, whatever ``ip_forward`` says.

A rule is added before the one that it replaces is deleted, the guard's last one first.
"""

import json
from collections.abc import Iterator
from typing import Any

from tripgate.core import marks
from tripgate.core.routerspec import check_interface
from tripgate.kernel.command import CommandError, run

TABLE = 7077
PRIORITIES = (1070, 1071, 1072)
FAMILIES = ("-4", "-6")
_HERE = ("local", "default", "dev", "lo", "table", str(TABLE))
_NO_TABLE = ("does not exist", "No such process")


def apply(lan: str) -> None:
    """Put the routes and rules for ``lan`` there; what is there already stays. ``CommandError``."""
    check_interface(lan)
    for family in FAMILIES:
        run(
            ["ip", family, "route", "replace", "local", "default", "dev", "lo", "table", str(TABLE)]
        )
        there = _rules(family)
        for rule in _wanted(lan):
            if rule not in there:
                run(["ip", family, "rule", "add", *rule])
        for rule in there:
            if rule not in _wanted(lan):
                run(["ip", family, "rule", "del", *rule])


def remove() -> None:
    """Take them away; absent ones are fine. ``CommandError``."""
    for family in FAMILIES:
        for rule in _rules(family):
            run(["ip", family, "rule", "del", *rule])
        try:
            run(["ip", family, "route", "flush", "table", str(TABLE)])
        except CommandError as error:
            if not any(said in str(error) for said in _NO_TABLE):
                raise


def intact(lan: str) -> bool:
    """Whether the rules for ``lan``, and no others of ours, are there. ``CommandError``."""
    return all(sorted(_rules(family)) == sorted(_wanted(lan)) for family in FAMILIES)


def _wanted(lan: str) -> list[tuple[str, ...]]:
    """The guard first: it may be there alone, the others may not."""
    tproxy, opened, guard = (str(priority) for priority in PRIORITIES)
    return [
        ("priority", guard, "iif", lan, "type", "prohibit"),
        ("priority", opened, "fwmark", _bit(marks.OPEN), "iif", lan, "lookup", "main"),
        ("priority", tproxy, "fwmark", _bit(marks.TPROXY), "iif", lan, "lookup", str(TABLE)),
    ]


def _bit(mark: int) -> str:
    return f"{mark:#x}/{mark:#x}"


def _rules(family: str) -> list[tuple[str, ...]]:
    """Our rules as ``ip`` would be told them, found by their priorities."""
    listed: list[dict[str, Any]] = json.loads(run(["ip", "-j", family, "rule", "list"]) or "[]")
    return [tuple(_words(rule)) for rule in listed if rule.get("priority") in PRIORITIES]


def _words(rule: dict[str, Any]) -> Iterator[str]:
    yield from ("priority", str(rule["priority"]))
    if "fwmark" in rule:
        yield from ("fwmark", f"{rule['fwmark']}/{rule.get('fwmask', '0xffffffff')}")
    if "iif" in rule:
        yield from ("iif", str(rule["iif"]))
    if "table" in rule:
        yield from ("lookup", str(rule["table"]))
    if "action" in rule:
        yield from ("type", str(rule["action"]))
