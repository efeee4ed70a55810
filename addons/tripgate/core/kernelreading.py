"""What the kernel has counted, out of nftables' JSON and ``/proc/net/dev``.

Bytes are L3 bytes. An interface counts link headers and ARP too; they are taken off here.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tripgate.core.setelements import Element

# ARPHRD type (linux/if_arp.h) to the bytes of its link header; the others (raw IP, tunnels,
# "none") have none.
_ETHERNET = 1
_HEADER = {_ETHERNET: 14, 512: 4}
_RX_BYTES, _RX_PACKETS, _TX_BYTES, _TX_PACKETS = 0, 1, 8, 9
_MARK = struct.Struct("=I")

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


def read_counts(sets: Mapping[str, Iterable[Element]]) -> Reading:
    """What was counted and who is spent, of a reading without the rest: the sets ``up``, ``down``,
    ``forwarded``, ``spent``, ``links_up`` and ``links_down`` (``ReadingError``)."""
    up, down, forwarded = (_by_slot(sets[name]) for name in ("up", "down", "forwarded"))
    links = _both(_by_name(sets["links_up"]), _by_name(sets["links_down"]))
    return Reading(_both(up, down), forwarded, spent=slots_of(sets["spent"]), links=links)


def slots_of(elements: Iterable[Element]) -> frozenset[int]:
    """The slots that are in a set or a map (``ReadingError``)."""
    return frozenset(_mark(element) for element in elements)


def read_arp(up: Iterable[Element], down: Iterable[Element]) -> dict[str, Count]:
    """Bytes of ARP by interface. On the way out such a packet already has its link header when
    nftables counts it. ``ReadingError``."""
    return _both(_by_name(up, header=_HEADER[_ETHERNET]), _by_name(down))


def _by_slot(elements: Iterable[Element]) -> dict[int, int]:
    return {_mark(element): _bytes(element) for element in elements}


def _mark(element: Element) -> int:
    if len(element.key) != _MARK.size:
        raise ReadingError(f"nftables has the mark {element.key[:64]!r}")
    return int(_MARK.unpack(element.key)[0])


def _by_name(elements: Iterable[Element], header: int = 0) -> dict[str, int]:
    return {
        element.key.rstrip(b"\0").decode(errors="replace"): _bytes(element, header)
        for element in elements
    }


def _bytes(element: Element, header: int = 0) -> int:
    """A kernel that tells its counts otherwise must not look like one that has counted nothing."""
    if element.bytes is None:
        raise ReadingError(f"nftables' answer has no count for {element.key[:64]!r}")
    return element.bytes - header * element.packets


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


def _counters_by_name(items: Items, name: str) -> dict[Any, int]:
    """Bytes by key."""
    counts = {}
    for element in _elements(items, name):
        counter = element["elem"]["counter"]
        counts[element["elem"]["val"]] = int(counter["bytes"])
    return counts


def _elements(items: Items, name: str, kind: str = "set") -> list[Any]:
    for found in _objects(items, kind):
        if found["name"] == name:
            listed: list[Any] = found.get("elem", [])
            return listed
    raise ReadingError(f"the table has no {kind} {name}")


def _objects(items: Items, kind: str) -> Iterator[dict[str, Any]]:
    return (item[kind] for item in items if kind in item)
