"""What the kernel has counted, out of nftables' JSON and ``/proc/net/dev``.

Bytes are L3 bytes. An interface counts link headers and ARP too; they are taken off here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# ARPHRD type (linux/if_arp.h) to the bytes of its link header; the others (raw IP, tunnels,
# "none") have none.
_ETHERNET = 1
_HEADER = {_ETHERNET: 14, 512: 4}
_RX_BYTES, _RX_PACKETS, _TX_BYTES, _TX_PACKETS = 0, 1, 8, 9

Items = list[dict[str, Any]]


class ReadingError(OSError):
    """The kernel's answer is not what it should be."""


@dataclass(frozen=True, slots=True)
class Count:
    """L3 bytes to the uplink and from it."""

    up: int = 0
    down: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """A slot's quota of forwarded bytes (both directions). ``asked``: packets are held to it."""

    limit: int
    used: int
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the table. ``slots`` holds every slot that was ever seen on an uplink, 0
    (unattributed) and the gateway's own included; ``forwarded`` the part of it that no socket of
    the gateway carried, and which the quotas are about; ``spent`` are cut until a new grant. The
    rest is what was loaded: packet marks by MAC address, owners' slots, uplinks. ``links`` is the
    same traffic by uplink, those that are gone included."""

    slots: Mapping[int, Count] = field(default_factory=dict)
    forwarded: Mapping[int, int] = field(default_factory=dict)
    quotas: Mapping[int, Quota] = field(default_factory=dict)
    spent: frozenset[int] = frozenset()
    marks: Mapping[str, int] = field(default_factory=dict)
    owners: frozenset[int] = frozenset()
    uplinks: frozenset[str] = frozenset()
    links: Mapping[str, Count] = field(default_factory=dict)


def parse_counts(items: Items) -> Reading:
    """What was counted and who is spent, of a reading without the rest: the sets ``up``, ``down``,
    ``forwarded``, ``spent``, ``links_up`` and ``links_down`` (``ReadingError``)."""
    try:
        return _counted(items)
    except (KeyError, TypeError, ValueError) as error:
        raise ReadingError(f"nftables' answer cannot be read: {error!r}") from error


def parse_grants(items: Items) -> frozenset[int]:
    """The slots whose packets are held to a quota, in the map ``grants`` (``ReadingError``)."""
    try:
        return frozenset(int(slot) for slot, _ in _elements(items, "grants", "map"))
    except (KeyError, TypeError, ValueError) as error:
        raise ReadingError(f"nftables' answer cannot be read: {error!r}") from error


def parse_table(items: Items) -> Reading:
    """The reading in ``list table inet tripgate`` (``ReadingError``)."""
    try:
        return replace(
            _counted(items),
            quotas=_quotas(items),
            marks={str(mac): int(mark) for mac, mark in _elements(items, "slots", "map")},
            owners=frozenset(int(slot) for slot in _elements(items, "owners")),
            uplinks=frozenset(str(name) for name in _elements(items, "uplinks")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReadingError(f"nftables' answer cannot be read: {error!r}") from error


def parse_arp(items: Items) -> dict[str, Count]:
    """Bytes of ARP by interface, in ``list table arp tripgate`` (``ReadingError``).

    On the way out such a packet already has its link header when nftables counts it.
    """
    try:
        up = _counters_by_name(items, "up", header=_HEADER[_ETHERNET])
        down = _counters_by_name(items, "down")
    except (KeyError, TypeError, ValueError) as error:
        raise ReadingError(f"nftables' answer cannot be read: {error!r}") from error
    return _both(up, down)


def parse_links(text: str, types: Mapping[str, int]) -> dict[str, Count]:
    """L2 payload of the interfaces in ``types`` (name to ARPHRD type), from ``/proc/net/dev``."""
    counts = {}
    for line in text.splitlines():
        name, colon, figures = line.strip().rpartition(":")
        if not colon or name not in types:
            continue
        numbers = [int(figure) for figure in figures.split()]
        header = _HEADER.get(types[name], 0)
        counts[name] = Count(
            numbers[_TX_BYTES] - header * numbers[_TX_PACKETS],
            numbers[_RX_BYTES] - header * numbers[_RX_PACKETS],
        )
    return counts


def less_arp(links: Mapping[str, Count], arp: Mapping[str, Count]) -> dict[str, Count]:
    """The interfaces' L3 bytes."""
    nothing = Count()
    return {
        name: Count(
            max(0, count.up - arp.get(name, nothing).up),
            max(0, count.down - arp.get(name, nothing).down),
        )
        for name, count in links.items()
    }


def _counted(items: Items) -> Reading:
    return Reading(
        _both(_counters(items, "up"), _counters(items, "down")),
        _counters(items, "forwarded"),
        spent=frozenset(int(slot) for slot in _elements(items, "spent")),
        links=_both(_counters_by_name(items, "links_up"), _counters_by_name(items, "links_down")),
    )


def _both(up: Mapping[Any, int], down: Mapping[Any, int]) -> dict[Any, Count]:
    return {key: Count(up.get(key, 0), down.get(key, 0)) for key in sorted({*up, *down})}


def _quotas(items: Items) -> dict[int, Quota]:
    asked = {int(slot): str(name) for slot, name in _elements(items, "grants", "map")}
    quotas = {}
    for quota in _objects(items, "quota"):
        slot = int(quota["name"][1:])
        used, held = int(quota["used"]), asked.get(slot) == quota["name"]
        quotas[slot] = Quota(int(quota["bytes"]), used, held)
    return quotas


def _counters(items: Items, name: str) -> dict[int, int]:
    return {int(key): count for key, count in _counters_by_name(items, name).items()}


def _counters_by_name(items: Items, name: str, header: int = 0) -> dict[Any, int]:
    """Bytes by key, less ``header`` bytes a packet."""
    counts = {}
    for element in _elements(items, name):
        counter = element["elem"]["counter"]
        counts[element["elem"]["val"]] = int(counter["bytes"]) - header * int(counter["packets"])
    return counts


def _elements(items: Items, name: str, kind: str = "set") -> list[Any]:
    for found in _objects(items, kind):
        if found["name"] == name:
            listed: list[Any] = found.get("elem", [])
            return listed
    raise ReadingError(f"the table has no {kind} {name}")


def _objects(items: Items, kind: str) -> Iterator[dict[str, Any]]:
    return (item[kind] for item in items if kind in item)
