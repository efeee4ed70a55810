"""The chains of the router's table: what happens to a packet, hook by hook.

A chain is ``(hook, rules)``; without a hook it is jumped to. The order of the hooks' priorities:
uplink ingress is counted, then the LAN's packets are marked and TCP handed to the relay, then DNS
is redirected; on the way out translation, then the count.
"""

from tripgate.core import address, marks
from tripgate.core.routerspec import RouterSpec

DNS_A_SECOND, DNS_BURST = 50, 200
"""Questions of one device that the resolvers hear: more is no browsing, but may be a tunnel."""

Chain = tuple[str, tuple[str, ...]]

IS_OPEN = f"meta mark and {marks.OPEN:#x} != 0"
NOT_OPEN = f"meta mark and {marks.OPEN:#x} == 0"
_SLOT = f"and {marks.SLOT_MASK:#x}"
_ND = "nd-neighbor-solicit, nd-neighbor-advert"
_MLD = "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report"
_UPLINK_ND = f"{_ND}, nd-router-advert, nd-redirect"


def prerouting_chains(spec: RouterSpec) -> dict[str, Chain]:
    """Counting what comes in, marking what devices send, TPROXY and DNS."""
    lan = f'iifname "{spec.lan}"'
    return {
        "uplink_in": (
            "type filter hook prerouting priority -160; policy accept;",
            ("iifname @uplinks jump count_in",),
        ),
        "count_in": (
            "",
            (
                "meta mark set ct mark",
                # Its entry went with an uplink that is back: the relay's socket knows whose it is.
                f"meta mark 0 meta l4proto tcp meta mark set socket mark {_SLOT}",
                # Untracked or unasked, and yet the box's own: without it there is no uplink.
                f"icmpv6 type {{ {_UPLINK_ND}, mld-listener-query }} meta mark set {marks.GATEWAY}",
                f"udp dport {{ 68, 546 }} meta mark 0 meta mark set {marks.GATEWAY}",
                "update @down { meta mark counter }",
                "update @links_down { iifname counter }",
            ),
        ),
        "lan_in": (
            "type filter hook prerouting priority -150; policy accept;",
            (f"{lan} jump from_lan",),
        ),
        "from_lan": ("", _from_lan(spec)),
        "dns": (
            "type nat hook prerouting priority -100; policy accept;",
            (
                f"{lan} meta l4proto {{ tcp, udp }} th dport 53 {IS_OPEN} "
                f"redirect to :{spec.dns_open}",
                f"{lan} meta l4proto {{ tcp, udp }} th dport 53 redirect to :{spec.dns_closed}",
            ),
        ),
    }


def _from_lan(spec: RouterSpec) -> tuple[str, ...]:
    tproxy = f"to :{spec.tproxy} meta mark set meta mark or {marks.TPROXY:#x} accept"
    return (
        "meta mark set ether saddr map @slots",
        f"ct mark set meta mark {_SLOT}",
        "fib daddr type { local, broadcast, multicast, anycast } return",
        *(() if spec.v6 else ("meta nfproto ipv6 drop",)),
        "tcp dport 53 return",
        f"meta nfproto ipv4 meta l4proto tcp tproxy ip {tproxy}",
        f"meta nfproto ipv6 meta l4proto tcp tproxy ip6 {tproxy}",
    )


def input_chains(spec: RouterSpec) -> dict[str, Chain]:
    """What reaches the gateway itself."""
    return {
        "input": (
            "type filter hook input priority 0; policy accept;",
            (f'iifname "{spec.lan}" goto input_lan', "iifname @uplinks goto input_uplink"),
        ),
        "input_lan": ("", _input_lan(spec)),
        "input_uplink": (
            "",
            (
                "ct state established,related accept",
                "udp sport 67 udp dport 68 accept",
                "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
                f"ip6 hoplimit 255 icmpv6 type {{ {_UPLINK_ND} }} accept",
                "icmpv6 type mld-listener-query accept",
                "counter drop",
            ),
        ),
    }


def _input_lan(spec: RouterSpec) -> tuple[str, ...]:
    ports = ", ".join(str(port) for port in sorted({*spec.portals, *spec.proxies}))
    ssh = {"lan": ("tcp dport 22 accept",), "off": ()}.get(
        spec.ssh, (f"meta mark {_SLOT} @owners tcp dport 22 accept",)
    )
    return (
        # Before "established": a device that was closed loses the resolver at once.
        f"meta l4proto {{ tcp, udp }} th dport {spec.dns_open} {NOT_OPEN} drop",
        f"meta l4proto {{ tcp, udp }} th dport {{ {spec.dns_open}, {spec.dns_closed} }} "
        f"update @asking {{ ether saddr limit rate over {DNS_A_SECOND}/second "
        f"burst {DNS_BURST} packets }} drop",
        "ct state established,related accept",
        f"meta mark and {marks.TPROXY:#x} != 0 accept",
        f"meta l4proto {{ tcp, udp }} th dport {{ {spec.dns_open}, {spec.dns_closed} }} accept",
        "udp dport { 67, 547 } accept",
        *((f"tcp dport {{ {ports} }} accept",) if ports else ()),
        *ssh,
        "icmp type echo-request accept",
        f"icmpv6 type {{ echo-request, nd-router-solicit, {_ND}, {_MLD} }} accept",
        "counter drop",
    )


def forward_chains(spec: RouterSpec) -> dict[str, Chain]:
    """What is forwarded: never TCP, and the rest as far as the slot's quota goes."""
    lan = f'"{spec.lan}"'
    return {
        "forwarded_up": ("", ("update @forwarded { ct mark counter } accept",)),
        "forward_spent": ("", ("add @spent { ct mark }", "counter drop")),
        "forward_refused": ("", _refused_networks(spec)),
        "forward_up": (
            "",
            (
                "meta l4proto tcp reject with tcp reset",
                f"{NOT_OPEN} counter drop",
                f"{_not_at_login(spec)}jump forward_refused",
                *(("udp dport 443 @th,64,1 1 reject",) if spec.quic == "reject" else ()),
                "quota name ct mark map @grants goto forwarded_up",
                "goto forward_spent",
            ),
        ),
        "forward_down": (
            "",
            (
                "update @forwarded { ct mark counter }",
                "quota name ct mark map @grants accept",
                "goto forward_spent",
            ),
        ),
        "forward": (
            "type filter hook forward priority 0; policy drop;",
            (
                *(() if spec.v6 else ("meta nfproto ipv6 drop",)),
                f"iifname {lan} oifname @uplinks goto forward_up",
                f"iifname @uplinks oifname {lan} goto forward_down",
                *(() if spec.isolation else (f"iifname {lan} oifname {lan} {IS_OPEN} accept",)),
            ),
        ),
    }


def _not_at_login(spec: RouterSpec) -> str:
    return "" if spec.login is None else f"meta mark {_SLOT} != {spec.login} "


def _refused_networks(spec: RouterSpec) -> tuple[str, ...]:
    """Private networks and the box's own, behind whatever uplink; what is told is RFC 1812
    section 5.2.7.1's code 13, and RFC 4443 section 3.1's code 1."""
    return tuple(
        f"{family} daddr {{ {', '.join(nets)} }} counter reject with {told} type admin-prohibited"
        for networks in (address.REFUSED, spec.own)
        for family, colon, told in (("ip", False, "icmp"), ("ip6", True, "icmpv6"))
        if (nets := [one for one in networks if (":" in one) is colon])
    )


def uplink_chains(spec: RouterSpec) -> dict[str, Chain]:
    """The gateway's own traffic gets its mark; what leaves is translated, then counted."""
    masquerade = ["oifname @uplinks meta nfproto ipv4 masquerade"]
    if spec.v6 and spec.nat66:
        masquerade.append("oifname @uplinks meta nfproto ipv6 masquerade")
    return {
        "output": (
            "type filter hook output priority -150; policy accept;",
            (
                # A device's bytes leave by an uplink, where they are counted, or not at all.
                f'oifname != @uplinks oifname != "{spec.lan}" meta mark {_SLOT} != 0 drop',
                "oifname != @uplinks return",
                f"meta mark {_SLOT} != 0 ct mark set meta mark {_SLOT} return",
                f"ct mark 0 ct mark set {marks.GATEWAY}",
                f"ct state invalid,untracked meta mark set {marks.GATEWAY}",
            ),
        ),
        "nat_out": ("type nat hook postrouting priority 100; policy accept;", tuple(masquerade)),
        "uplink_out": (
            "type filter hook postrouting priority 200; policy accept;",
            ("oifname @uplinks jump count_out",),
        ),
        "count_out": (
            "",
            (
                "meta mark set ct mark",
                # The box's own, untracked: what is in their mark is anybody's guess.
                f"icmpv6 type {{ {_ND}, nd-router-solicit, {_MLD} }} meta mark set {marks.GATEWAY}",
                "update @up { meta mark counter }",
                "update @links_up { oifname counter }",
            ),
        ),
    }
