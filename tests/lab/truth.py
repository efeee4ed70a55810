"""The truth: what the carrier counts, outside of what is tested.

Bytes are L3 bytes (IP header and all that follows). ``up`` is from the gateway, ``down`` to it.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.lab.lab import Lab

ETHERNET_HEADER = 14

# Up at the first sight of a packet, down at the last; the families in sets of their own.
TRUTH_RULES = """
table inet truth {
  set up4 { type ipv4_addr; flags dynamic; counter; size 256; }
  set up6 { type ipv6_addr; flags dynamic; counter; size 256; }
  set down4 { type ipv4_addr; flags dynamic; counter; size 256; }
  set down6 { type ipv6_addr; flags dynamic; counter; size 256; }
  chain up {
    type filter hook prerouting priority -500; policy accept;
    iifname "up0" ip daddr 198.51.100.0/24 update @up4 { ip daddr counter }
    iifname "up0" ip6 daddr 2001:db8:0:1::/64 update @up6 { ip6 daddr counter }
  }
  chain down {
    type filter hook postrouting priority 500; policy accept;
    oifname "up0" ip saddr 198.51.100.0/24 update @down4 { ip saddr counter }
    oifname "up0" ip6 saddr 2001:db8:0:1::/64 update @down6 { ip6 saddr counter }
  }
}
table arp truth {
  counter up { }
  counter down { }
  chain up { type filter hook input priority 0; policy accept; iifname "up0" counter name up; }
  chain down { type filter hook output priority 0; policy accept; oifname "up0" counter name down; }
}
"""


@dataclass(frozen=True)
class Bytes:
    """What went up and down."""

    up: int = 0
    down: int = 0

    @property
    def total(self) -> int:
        return self.up + self.down

    def __sub__(self, other: "Bytes") -> "Bytes":
        return Bytes(self.up - other.up, self.down - other.down)

    def __add__(self, other: "Bytes") -> "Bytes":
        return Bytes(self.up + other.up, self.down + other.down)


def count_server(lab: "Lab", address: str) -> Bytes:
    family = 6 if ":" in address else 4
    return Bytes(
        up=_elements(lab, f"up{family}").get(address, 0),
        down=_elements(lab, f"down{family}").get(address, 0),
    )


def count_link(lab: "Lab") -> Bytes:
    shown = lab.run(lab.carrier, ["ip", "-j", "-s", "link", "show", "dev", "up0"]).stdout
    stats = json.loads(shown)[0]["stats64"]
    # On the way out an ARP packet has its link header when it is counted.
    up, down = _counter(lab, "up"), _counter(lab, "down")
    return Bytes(up=_l3(stats["rx"]) - up["bytes"], down=_l3(stats["tx"]) - _l3(down))


def _l3(direction: dict[str, int]) -> int:
    return direction["bytes"] - ETHERNET_HEADER * direction["packets"]


def _counter(lab: "Lab", name: str) -> dict[str, int]:
    for item in _list(lab, "counter", "arp", name):
        if "counter" in item:
            counted = item["counter"]
            return {"bytes": counted["bytes"], "packets": counted["packets"]}
    raise AssertionError(f"no counter {name}")


def _elements(lab: "Lab", name: str) -> dict[str, int]:
    for item in _list(lab, "set", "inet", name):
        if "set" in item:
            elements = [entry["elem"] for entry in item["set"].get("elem", [])]
            return {entry["val"]: entry["counter"]["bytes"] for entry in elements}
    raise AssertionError(f"no set {name}")


def _list(lab: "Lab", kind: str, family: str, name: str) -> list[dict[str, Any]]:
    argv = ["nft", "-j", "list", kind, family, "truth", name]
    items: list[dict[str, Any]] = json.loads(lab.run(lab.carrier, argv).stdout)["nftables"]
    return items
