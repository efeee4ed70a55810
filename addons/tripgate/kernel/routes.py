"""Routing of the router mode: delivery of TPROXY, and the guard that does not need nftables.

Rules
1. A packet with the mark ``TPROXY`` is delivered to this machine, whatever its destination.
2. What comes from the LAN is routed on with the mark ``OPEN`` only: marks come from our rules, so
   with the rules flushed, changed or never loaded nothing from the LAN gets out.
3. The guard stands before anything else does, and comes down after everything else is gone.
4. Making and removing may be repeated.
"""

import contextlib
import socket
from collections.abc import Iterator

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tripgate.core import marks

LOCAL_TABLE = 7077
MAIN_TABLE = 254
PRIORITY_TPROXY = 7070
PRIORITY_OPEN = 7071
PRIORITY_GUARD = 7072
_PROHIBIT = 8  # FR_ACT_PROHIBIT (linux/fib_rules.h)
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def raise_guard(lan: str) -> None:
    """Make the rules for both families. Raises ``OSError``."""
    with IPRoute() as ip, _as_os_error():
        loopback = ip.link_lookup(ifname="lo")[0]
        for family in _FAMILIES:
            there = {_priority(rule) for rule in ip.get_rules(family=family)}
            for priority, rule in _rules(lan).items():
                if priority not in there:
                    ip.rule("add", family=family, priority=priority, **rule)
            default = "0.0.0.0/0" if family == socket.AF_INET else "::/0"
            ip.route(
                "replace", family=family, table=LOCAL_TABLE, type="local", dst=default,
                scope="host" if family == socket.AF_INET else "universe", oif=loopback,
            )  # fmt: skip


def lower_guard() -> None:
    """Take the rules back; what is not there is passed over."""
    with IPRoute() as ip, _as_os_error():
        for family in _FAMILIES:
            for rule in ip.get_rules(family=family):
                if _priority(rule) in (PRIORITY_TPROXY, PRIORITY_OPEN, PRIORITY_GUARD):
                    ip.rule("del", family=family, priority=_priority(rule))
            with contextlib.suppress(NetlinkError):
                ip.flush_routes(family=family, table=LOCAL_TABLE)


def guarded() -> bool:
    """Do all rules stand?"""
    wanted = {PRIORITY_TPROXY, PRIORITY_OPEN, PRIORITY_GUARD}
    with IPRoute() as ip, _as_os_error():
        return all(
            wanted <= {_priority(rule) for rule in ip.get_rules(family=family)}
            for family in _FAMILIES
        )


def _rules(lan: str) -> dict[int, dict[str, object]]:
    tproxy = {"fwmark": marks.TPROXY, "fwmask": marks.TPROXY, "table": LOCAL_TABLE}
    opened = {"fwmark": marks.OPEN, "fwmask": marks.OPEN, "table": MAIN_TABLE}
    return {
        PRIORITY_GUARD: {"iifname": lan, "action": _PROHIBIT},
        PRIORITY_TPROXY: tproxy,
        PRIORITY_OPEN: {"iifname": lan, **opened},
    }


def _priority(rule: object) -> int | None:
    return rule.get_attr("FRA_PRIORITY")  # type: ignore[attr-defined, no-any-return]  # pyroute2


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error
