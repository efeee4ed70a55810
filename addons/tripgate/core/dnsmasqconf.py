"""The configuration of dnsmasq: what devices are told by DHCP, DNS and router advertisements.

Rules
1. Two instances. The *resolver* serves DHCP, router advertisements and names for open devices. The
   *captive* one has a port of its own and answers every name with the gateway's addresses and
   nothing else; the firewall sends the questions of devices that are not open there.
2. Devices are told that data is metered: option 43 is the string ``ANDROID_METERED`` (Android and
   NetworkManager look for it in the raw option). Option 114 names the captive portal API
   (RFC 8910 section 2.1). Both are sent unasked: some clients read what they did not request.
3. A name from outside that points into private ranges is no answer (DNS rebinding), single labels
   and private reverse zones stay here, and no device takes the name ``wpad``.
4. Canary names are answered NXDOMAIN: Apple's Private Relay and Firefox's DNS over HTTPS then
   leave names to this network.
5. IPv6 is advertised only with a prefix for the LAN; without one nothing is, and devices have
   link-local addresses only. Addresses come by SLAAC, the resolver by RDNSS (RFC 8106).
6. Values are addresses, numbers and checked names; text that could end a line is refused.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tripgate.core.names import clean_host

RESOLVER_PORT = 53
CAPTIVE_PORT = 5354
DOMAIN = "home.arpa"
"""RFC 8375: names of a home network."""
CANARIES = ("mask.icloud.com", "mask-h2.icloud.com", "use-application-dns.net")
LEASE_TIME = "1h"
"""Short, so that MACs that were made up do not hold addresses for long."""
CAPTIVE_TTL_S = 2
"""A device that was approved asks again soon."""
LEASES_MOST = 1000
SERVERS_MOST = 8

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+;=%-]{1,230}")
_PATH = re.compile(r"/[A-Za-z0-9_./+@%=-]{1,200}")


@dataclass(frozen=True, slots=True)
class Lan:
    """The LAN and the gateway's addresses in it. ``v6`` is ``None`` where the LAN has no IPv6."""

    interface: str
    v4: ipaddress.IPv4Interface
    v6: ipaddress.IPv6Interface | None = None

    def __post_init__(self) -> None:
        if not _INTERFACE.fullmatch(self.interface):
            raise ValueError("an interface name: wlan0")
        if self.v6 is not None and self.v6.network.prefixlen != 64:
            raise ValueError("a prefix of 64 bits for the LAN (RFC 4862 section 5.5.3)")

    @property
    def addresses(self) -> tuple[str, ...]:
        """The gateway's addresses, without prefix length."""
        return (str(self.v4.ip),) + ((str(self.v6.ip),) if self.v6 else ())


@dataclass(frozen=True, slots=True)
class Resolver:
    """What the resolver is told.

    ``servers``: upstream resolvers (``ADDRESS`` or ``ADDRESS#PORT``); with none of them those of
    ``resolv_file``, which dnsmasq reads again when it changes. ``portal_names`` are names of the
    gateway. ``rebind`` lets private addresses in answers pass (the portal of a hotel's Wi-Fi).
    """

    lan: Lan
    lease_file: str
    servers: tuple[str, ...] = ()
    resolv_file: str = "/etc/resolv.conf"
    metered: bool = True
    api_url: str | None = None
    portal_names: tuple[str, ...] = (f"tripgate.{DOMAIN}",)
    canaries: bool = True
    rebind: bool = False
    log_queries: bool = True
    port: int = RESOLVER_PORT


def resolver_text(told: Resolver) -> str:
    """The configuration of the resolver. Raises ``ValueError`` for a value that does not fit."""
    return _text(
        [
            *_common(told.lan, told.port),
            "",
            *_upstream(told),
            *(
                f"host-record={_name(name)},{','.join(told.lan.addresses)}"
                for name in told.portal_names
            ),
            *(f"address=/{name}/" for name in CANARIES if told.canaries),
            *(("log-queries=extra",) if told.log_queries else ()),
            "",
            *_dhcp(told),
            *_advertisements(told.lan),
        ]
    )


def captive_text(lan: Lan, port: int = CAPTIVE_PORT) -> str:
    """The configuration of the instance for devices that are not open."""
    return _text(
        [
            *_common(lan, port),
            "no-resolv",
            "local=/#/",
            f"local-ttl={CAPTIVE_TTL_S}",
            *(f"address=/#/{address}" for address in lan.addresses),
        ]
    )


def server(text: str) -> str:
    """An upstream resolver in dnsmasq's form. Raises ``ValueError`` whose text is the form."""
    address, hash_sign, port = text.partition("#")
    try:
        shown = str(ipaddress.ip_address(address))
        if hash_sign and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError
    except ValueError:
        raise ValueError("the address of a resolver: 9.9.9.9 or 127.0.0.1#5335") from None
    return f"{shown}#{int(port)}" if hash_sign else shown


def _text(lines: Sequence[str]) -> str:
    if any(not line.isprintable() or not line.isascii() for line in lines):
        raise ValueError("text on one line")
    return "\n".join([*lines, ""])


def _common(lan: Lan, port: int) -> list[str]:
    """Both instances: in front, on the LAN alone, nothing of the machine's own files."""
    return [
        "keep-in-foreground",
        "log-facility=-",
        "pid-file=",
        f"interface={lan.interface}",
        "except-interface=lo",
        "bind-dynamic",
        f"port={port}",
        "no-hosts",
    ]


def _upstream(told: Resolver) -> list[str]:
    if len(told.servers) > SERVERS_MOST:
        raise ValueError(f"at most {SERVERS_MOST} resolvers")
    fixed = ["no-resolv", *(f"server={server(text)}" for text in told.servers)]
    return [
        *(fixed if told.servers else [f"resolv-file={_path(told.resolv_file)}"]),
        "domain-needed",
        "bogus-priv",
        f"local=/{DOMAIN}/",
        f"domain={DOMAIN}",
        *(() if told.rebind else ("stop-dns-rebind",)),
        "cache-size=2000",
        "dns-forward-max=150",
        "edns-packet-max=1232",
    ]


def _dhcp(told: Resolver) -> list[str]:
    v4 = told.lan.v4
    room = v4.network.num_addresses - 3
    first, last = v4.network[1], v4.network[-2]
    return [
        f"dhcp-range={first},{last},{v4.network.netmask},{LEASE_TIME}",
        f"dhcp-leasefile={_path(told.lease_file)}",
        f"dhcp-lease-max={min(LEASES_MOST, room)}",
        "dhcp-authoritative",
        "dhcp-name-match=set:wpad,wpad",
        "dhcp-ignore-names=tag:wpad",
        f"dhcp-option=option:router,{v4.ip}",
        f"dhcp-option=option:dns-server,{v4.ip}",
        *(("dhcp-option-force=43,ANDROID_METERED",) if told.metered else ()),
        *((f"dhcp-option-force=114,{_url(told.api_url)}",) if told.api_url else ()),
    ]


def _advertisements(lan: Lan) -> list[str]:
    if lan.v6 is None:
        return []
    return ["enable-ra", f"dhcp-range={lan.v6.network.network_address},ra-only,64,{LEASE_TIME}"]


def _name(text: str) -> str:
    name = clean_host(text)
    if name is None:
        raise ValueError("a host name of the gateway")
    return name


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("a path of letters, digits and _./+@%=-")
    return text


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError("the URL of the captive portal API")
    return text
