"""The router's nftables rules, as text for one transaction.

Rules
1. One table, ``inet tripgate``, for both families. (``arp tripgate`` beside it has two counters
   and no verdict: ARP is in the interface's own count and belongs to nobody.)
2. Loading it again changes nothing: objects are added (there already is fine), chains flushed and
   filled again, sets of settings likewise, all in one transaction. Counters and quotas are left.
3. Uplink ingress is counted before anything can drop it: the carrier bills dropped bytes. Egress
   is counted last, after translation. Both by conntrack mark, in one element per slot, and by
   uplink: these counts survive the interface.
4. What is forwarded passes its slot's quota, ``until`` a limit. A packet that matches is granted;
   one that does not, or that has no quota at all, is dropped: no element, no bytes.
   So is what the uplink sends unasked: it has no slot, and nobody's has a quota.
5. A quota counts what it refuses, so that once past it stays past, and nothing more passes until
   the next grant makes it anew. The first packet past it puts its slot into ``spent``, to tell.
   Ingress past it is billed and still counted, in ``forwarded`` too. Conntrack entries stay.
6. TCP is never forwarded: without a relay to take it, it is reset.
7. Only the LAN and the uplinks are filtered on input; other interfaces are not ours. Nothing is
   forwarded anywhere but between the LAN and an uplink.
"""

from collections.abc import Iterable, Mapping

from tripgate.core import marks
from tripgate.core.nftchains import forward_chains, input_chains, prerouting_chains, uplink_chains
from tripgate.core.routerspec import RouterSpec, Station, check_slot

TABLE = "inet tripgate"
ARP_TABLE = "arp tripgate"
_SLOTS = marks.LAST + 1
_LINKS = 64
_MACS = 8192

_OBJECTS = f"""\
add table {TABLE}
add table {ARP_TABLE}
add set {TABLE} uplinks {{ type ifname; size {_LINKS}; }}
add set {TABLE} asking {{ type ether_addr; size {_MACS}; flags dynamic,timeout; timeout 1m; }}
add set {TABLE} owners {{ type mark; size {_SLOTS}; }}
add map {TABLE} slots {{ type ether_addr : mark; size {_MACS}; }}
add map {TABLE} grants {{ type mark : quota; size {_SLOTS}; }}
add set {TABLE} spent {{ type mark; size {_SLOTS}; flags dynamic; }}
add set {TABLE} up {{ type mark; size {_SLOTS}; flags dynamic; counter; }}
add set {TABLE} down {{ type mark; size {_SLOTS}; flags dynamic; counter; }}
add set {TABLE} forwarded {{ type mark; size {_SLOTS}; flags dynamic; counter; }}
add set {TABLE} links_up {{ type ifname; size {_LINKS}; flags dynamic; counter; }}
add set {TABLE} links_down {{ type ifname; size {_LINKS}; flags dynamic; counter; }}
add set {ARP_TABLE} uplinks {{ type ifname; size {_LINKS}; }}
add set {ARP_TABLE} up {{ type ifname; size {_LINKS}; flags dynamic; counter; }}
add set {ARP_TABLE} down {{ type ifname; size {_LINKS}; flags dynamic; counter; }}
"""

_ARP_CHAINS = {
    "arp_in": (
        "type filter hook input priority 0; policy accept;",
        ("iifname @uplinks update @down { iifname counter }",),
    ),
    "arp_out": (
        "type filter hook output priority 0; policy accept;",
        ("oifname @uplinks update @up { oifname counter }",),
    ),
}


def render(spec: RouterSpec, stations: Mapping[int, Station]) -> str:
    """The whole table, as one transaction that may be loaded any number of times."""
    chains = {
        **prerouting_chains(spec),
        **input_chains(spec),
        **forward_chains(spec),
        **uplink_chains(spec),
    }
    return "".join(
        [
            _OBJECTS,
            _chains(TABLE, chains),
            _chains(ARP_TABLE, _ARP_CHAINS),
            *(_refill("set", table, "uplinks", _quoted(spec)) for table in (TABLE, ARP_TABLE)),
            render_stations(stations),
        ]
    )


def render_stations(stations: Mapping[int, Station]) -> str:
    """Who is behind which MAC address, and who is open."""
    elements = [f"{mac} : {mark:#x}" for mac, mark in sorted(slot_marks(stations).items())]
    owning = [str(slot) for slot in sorted(owners(stations))]
    return _refill("map", TABLE, "slots", elements) + _refill("set", TABLE, "owners", owning)


def slot_marks(stations: Mapping[int, Station]) -> dict[str, int]:
    """The packet mark of each MAC address. Of two claims on one the lower slot has it, closed if
    either is."""
    slots: dict[str, int] = {}
    for slot, station in sorted(stations.items()):
        check_slot(slot)
        for mac in station.macs:
            shared = slots.get(mac)
            if shared is None:
                slots[mac] = slot | (marks.OPEN if station.open else 0)
            elif not station.open:
                slots[mac] = shared & ~marks.OPEN
    return slots


def owners(stations: Mapping[int, Station]) -> set[int]:
    """The slots of owners' devices."""
    return {slot for slot, station in stations.items() if station.owner}


def render_removal() -> str:
    """Both tables gone, also when they were never there."""
    return "".join(f"add table {t}\ndelete table {t}\n" for t in (TABLE, ARP_TABLE))


def new_quota(slot: int, remaining: int) -> str:
    """The slot's quota made anew, with ``remaining`` bytes to go and none used."""
    add = f"add quota {TABLE} {_quota(slot)} {{ until {remaining} bytes }}\n"
    element = f'add element {TABLE} grants {{ {slot} : "{_quota(slot)}" }}\n'
    return no_quota(slot) + add + element + _not_spent(slot)


def move_quota(slot: int, limit: int) -> str:
    """The slot's quota raised or lowered to ``limit`` bytes; what is used stays used."""
    return f"add quota {TABLE} {_quota(slot)} {{ until {limit} bytes }}\n" + _not_spent(slot)


def no_quota(slot: int) -> str:
    """The slot's quota gone, also when there was none."""
    name = _quota(slot)
    return (
        f"add quota {TABLE} {name} {{ until 0 bytes }}\n"
        f'add element {TABLE} grants {{ {slot} : "{name}" }}\n'
        f"delete element {TABLE} grants {{ {slot} }}\n"
        f"delete quota {TABLE} {name}\n"
    )


def _not_spent(slot: int) -> str:
    return f"add element {TABLE} spent {{ {slot} }}\ndelete element {TABLE} spent {{ {slot} }}\n"


def _quota(slot: int) -> str:
    return f"s{check_slot(slot)}"


def _quoted(spec: RouterSpec) -> list[str]:
    return [f'"{name}"' for name in sorted(set(spec.uplinks))]


def _refill(kind: str, table: str, name: str, elements: Iterable[str]) -> str:
    text = f"flush {kind} {table} {name}\n"
    listed = ", ".join(elements)
    return text + (f"add element {table} {name} {{ {listed} }}\n" if listed else "")


def _chains(table: str, chains: Mapping[str, tuple[str, tuple[str, ...]]]) -> str:
    """All chains first: a jump needs its target."""
    lines = []
    for name, (hook, _) in chains.items():
        body = f" {{ {hook} }}" if hook else ""
        lines += [f"add chain {table} {name}{body}", f"flush chain {table} {name}"]
    for name, (_, rules) in chains.items():
        lines += [f"add rule {table} {name} {rule}" for rule in rules]
    return "".join(f"{line}\n" for line in lines)
