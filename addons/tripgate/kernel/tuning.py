"""The kernel's switches that a router needs, recorded before they are changed.

The order matters: an IPv6 router that forwards stops taking router advertisements, so the uplinks
take them in any case (``accept_ra`` 2) before it forwards. Turning forwarding on or off sets it on
every interface, and with IPv4 ``accept_redirects`` too; they are recorded first, so that they are
put back last.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tripgate.core.routerspec import RouterSpec
from tripgate.kernel.recorded import Recorded

_PROC = Path("/proc/sys")
_MARK_ACCEPTED = "net/ipv4/tcp_fwmark_accept"
"""Accepted sockets have the mark of their SYN (both families): whose MAC it came from."""
_SWITCH = {"ipv4": "net/ipv4/ip_forward", "ipv6": "net/ipv6/conf/all/forwarding"}


def tune_uplink(recorded: Recorded, link: str) -> None:
    """Make ``link`` an uplink; one that is not there is left for when it comes.
    ``RecordError``, ``CommandError``, ``OSError``."""
    with contextlib.suppress(FileNotFoundError):
        recorded.gso_max_segs(link, "1")
        recorded.gro(link, "off")
        recorded.sysctl(_accept_ra(link), "2")


def needed(uplinks: Iterable[str], *, v6: bool) -> dict[str, str]:
    """The switches of this kernel that :func:`tune` sets, by their names in ``/proc/sys``."""
    wanted = {_accept_ra(link): "2" for link in uplinks}
    wanted[_MARK_ACCEPTED] = "1"
    wanted |= {_SWITCH[family]: "1" for family in _families(v6)}
    return {name: value for name, value in wanted.items() if (_PROC / name).exists()}


def tune(recorded: Recorded, spec: RouterSpec) -> None:
    """Set everything for ``spec``; doing it again changes nothing."""
    for link in spec.uplinks:
        tune_uplink(recorded, link)
    recorded.sysctl(_MARK_ACCEPTED, "1")
    for family in _families(spec.v6):
        if not (_PROC / _SWITCH[family]).exists():
            continue
        for name in _side_effects(family):
            recorded.note_sysctl(name)
        recorded.sysctl(_SWITCH[family], "1")


def _accept_ra(link: str) -> str:
    return f"net/ipv6/conf/{link}/accept_ra"


def _families(v6: bool) -> tuple[str, ...]:
    return ("ipv4", "ipv6") if v6 else ("ipv4",)


def _side_effects(family: str) -> Iterator[str]:
    conf = _PROC / "net" / family / "conf"
    for link in sorted(path.name for path in conf.iterdir()):
        if (family, link) != ("ipv6", "all"):
            yield f"net/{family}/conf/{link}/forwarding"
    if family == "ipv4":
        yield "net/ipv4/conf/all/accept_redirects"
