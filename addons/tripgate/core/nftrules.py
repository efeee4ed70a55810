"""The rules of the router mode, as text for nftables: one ``inet`` table, and one that counts ARP.

Rules
1. Loading the text twice is loading it once: chains are flushed and filled again in the same
   transaction, sets, maps and their counters are only made where they are missing.
2. Every packet on an uplink is counted under the slot of its connection (its conntrack mark): what
   comes in before anything may drop it (the carrier bills it), what goes out after everything.
3. A device's TCP goes to the gateway's own socket, whoever it is; DNS goes to the resolver, of a
   device that is not open to the captive one; all else is forwarded for open devices only, and
   out of a quota that the kernel keeps.
4. From the LAN the box answers DHCP, DNS, the portal and what is named in the spec; from an uplink
   it answers nothing that it did not ask for.
5. Refused destinations (private and link-local ranges) are refused to forwarded packets too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tripgate.core import marks

TABLE = "tripgate"
SETS = ("up", "down", "forwarded_up", "forwarded_down")
QUEUE_DNS_A_SECOND = 50
DNS_BURST = 200

_REFUSED_4 = "0.0.0.0/8, 10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16"
_REFUSED_6 = "::/128, ::1/128, ::ffff:0:0/96, fc00::/7, fe80::/10"
_NEIGHBOUR = "nd-neighbor-solicit, nd-neighbor-advert"


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """What the rules are made from. Interface names and ports were checked before.

    ``tproxy``, ``resolver``, ``captive``: ports of the gateway's own servers; ``open_ports``: TCP
    ports of the box that answer the LAN (portal, proxies if asked for). ``ssh``: ``lan`` (all),
    ``owner`` (devices of the set ``owners``), ``off``. ``nat66``: the uplink has IPv6.
    """

    lan: str
    uplinks: tuple[str, ...]
    tproxy: int
    resolver: int = 53
    captive: int = 5354
    open_ports: tuple[int, ...] = (80,)
    quic: str = "reject"
    ssh: str = "lan"
    nat66: bool = True


def text(spec: RuleSpec) -> str:
    """All of it, as one transaction."""
    chains = {
        "prerouting": ("filter hook prerouting priority mangle", _prerouting(spec)),
        "from_uplink": (None, _from_uplink()),
        "from_lan": (None, _from_lan(spec)),
        "redirect_dns": ("nat hook prerouting priority dstnat", _redirect_dns(spec)),
        "output": ("filter hook output priority mangle", _output()),
        "postrouting": ("filter hook postrouting priority 300", _postrouting()),
        "translate": ("nat hook postrouting priority srcnat", _masquerade(spec)),
        "forward": ("filter hook forward priority filter; policy drop", _forward(spec)),
        "input": ("filter hook input priority filter", _input(spec)),
    }
    lines = [f"add table inet {TABLE}", *_sets(spec)]
    for name, (hook, _) in chains.items():
        lines.append(f"add chain inet {TABLE} {name}" + (f" {{ type {hook}; }}" if hook else ""))
    for name, (_, rules) in chains.items():
        lines.append(f"flush chain inet {TABLE} {name}")
        lines += [f"add rule inet {TABLE} {name} {rule}" for rule in rules]
    return "\n".join([*lines, *_arp(spec.uplinks), ""])


def removal() -> str:
    """Takes both tables back; also where they are not there."""
    tables = (f"inet {TABLE}", f"arp {TABLE}")
    return "".join(f"add table {one}\ndelete table {one}\n" for one in tables)


def _sets(spec: RuleSpec) -> list[str]:
    add = f"add set inet {TABLE}"
    counted = "{ type mark; size 4096; flags dynamic; counter; }"
    lines = [
        f"{add} uplinks {{ type ifname; }}",
        f"add map inet {TABLE} macs {{ type ether_addr : mark; }}",
        f"{add} open {{ type mark; }}",
        f"{add} owners {{ type mark; }}",
        f"add map inet {TABLE} quotas {{ type mark : quota; }}",
        f"{add} asking {{ type ether_addr; size 4096; flags dynamic,timeout; timeout 60s; }}",
        *(f"{add} {name} {counted}" for name in SETS),
        f"flush set inet {TABLE} uplinks",
    ]
    if spec.uplinks:
        names = ", ".join(f'"{name}"' for name in spec.uplinks)
        lines.append(f"add element inet {TABLE} uplinks {{ {names} }}")
    return lines


def _count(name: str, key: str = "ct mark") -> str:
    return f"update @{name} {{ {key} counter }}"


def _constant(slot: int) -> str:
    """A key that is always ``slot``: the language wants an expression there."""
    return f"meta mark and 0x0 xor {slot:#x}" if slot else "meta mark and 0x0"


def _prerouting(spec: RuleSpec) -> list[str]:
    return ["iifname @uplinks goto from_uplink", f'iifname "{spec.lan}" goto from_lan']


def _from_uplink() -> list[str]:
    return [
        f"ct state invalid {_count('down', _constant(marks.NOBODY))} return",
        f"ct state untracked {_count('down', _constant(marks.GATEWAY))} return",
        _count("down"),
    ]


def _from_lan(spec: RuleSpec) -> list[str]:
    return [
        "meta mark set ether saddr map @macs",
        "fib daddr type { local, broadcast, multicast } return",
        "meta l4proto { tcp, udp } th dport 53 return",
        f"meta l4proto tcp meta mark set meta mark or {marks.TPROXY:#x} "
        f"tproxy to :{spec.tproxy} accept",
        f"meta mark @open ct mark set meta mark and {marks.SLOT_MASK:#x}",
        f"meta mark @open meta mark set meta mark or {marks.OPEN:#x}",
    ]


def _redirect_dns(spec: RuleSpec) -> list[str]:
    dns = f'iifname "{spec.lan}" meta l4proto {{ tcp, udp }} th dport 53'
    return [
        f"{dns} meta mark @open redirect to :{spec.resolver}",
        f"{dns} redirect to :{spec.captive}",
    ]


def _output() -> list[str]:
    slot = f"meta mark and {marks.SLOT_MASK:#x}"
    return [
        f"oifname @uplinks {slot} != 0x0 ct mark set {slot}",
        f"oifname @uplinks ct mark 0x0 ct mark set {marks.GATEWAY:#x}",
    ]


def _postrouting() -> list[str]:
    untracked = f"oifname @uplinks ct state untracked {_count('up', _constant(marks.GATEWAY))}"
    return [f"{untracked} return", f"oifname @uplinks {_count('up')}"]


def _masquerade(spec: RuleSpec) -> list[str]:
    families = ("ipv4", "ipv6") if spec.nat66 else ("ipv4",)
    return [f"oifname @uplinks meta nfproto {one} masquerade" for one in families]


def _forward(spec: RuleSpec) -> list[str]:
    up = f'iifname "{spec.lan}" oifname @uplinks'
    down = f'iifname @uplinks oifname "{spec.lan}"'
    over = "quota name ct mark map @quotas drop"
    quic = [f"{up} udp dport 443 @th,64,1 1 reject"] if spec.quic == "reject" else []
    return [
        f"{up} meta mark and {marks.OPEN:#x} == 0x0 drop",
        f"{up} ip daddr {{ {_REFUSED_4} }} drop",
        f"{up} ip6 daddr {{ {_REFUSED_6} }} drop",
        *quic,
        f"{up} {over}",
        f"{up} {_count('forwarded_up')} accept",
        f"{down} ct state != {{ established, related }} drop",
        f"{down} {_count('forwarded_down')}",
        f"{down} {over}",
        f"{down} accept",
    ]


def _input(spec: RuleSpec) -> list[str]:
    lan = f'iifname "{spec.lan}"'
    uplink = "iifname @uplinks"
    rate = f"limit rate over {QUEUE_DNS_A_SECOND}/second burst {DNS_BURST} packets"
    dns = f"{lan} meta l4proto {{ tcp, udp }} th dport {{ {spec.resolver}, {spec.captive} }}"
    ports = ", ".join(map(str, spec.open_ports))
    return [
        f"{lan} ct state established,related accept",
        f"{lan} meta mark and {marks.TPROXY:#x} != 0x0 accept",
        f"{dns} update @asking {{ ether saddr {rate} }} drop",
        f"{dns} accept",
        f"{lan} udp dport 67 accept",
        *([f"{lan} tcp dport {{ {ports} }} accept"] if ports else []),
        *_ssh(spec.ssh, lan),
        f"{lan} icmp type echo-request limit rate 20/second accept",
        f"{lan} icmpv6 type {{ {_NEIGHBOUR}, nd-router-solicit, mld-listener-report, "
        "mld2-listener-report, mld-listener-done }} accept".replace("}}", "}"),
        f"{lan} icmpv6 type echo-request limit rate 20/second accept",
        f"{lan} drop",
        f"{uplink} ct state established,related accept",
        f"{uplink} udp sport 67 udp dport 68 accept",
        f"{uplink} udp sport 547 udp dport 546 accept",
        f"{uplink} icmpv6 type {{ {_NEIGHBOUR}, nd-router-advert, nd-redirect }} accept",
        f"{uplink} drop",
    ]


def _ssh(policy: str, lan: str) -> list[str]:
    if policy == "lan":
        return [f"{lan} tcp dport 22 accept"]
    return [f"{lan} meta mark @owners tcp dport 22 accept"] if policy == "owner" else []


def _arp(uplinks: Iterable[str]) -> list[str]:
    """ARP is on the interface's counter and is no L3: it is counted to be left out."""
    lines = [f"add table arp {TABLE}"]
    for name, hook, side in (("arp_down", "input", "iifname"), ("arp_up", "output", "oifname")):
        lines += [
            f"add set arp {TABLE} {name} {{ type ifname; size 64; flags dynamic; counter; }}",
            f"add chain arp {TABLE} {name} {{ type filter hook {hook} priority 0; }}",
            f"flush chain arp {TABLE} {name}",
            f"add rule arp {TABLE} {name} update @{name} {{ {side} counter }}",
        ]
    return lines
