"""The kernel's tables: made, read, fed with quotas, taken back.

Rules
1. A slot's quota is what its device may still have forwarded. It is made anew where it had run out
   (what was dropped has counted in it), else only its limit moves, so that nothing which passes
   meanwhile is forgotten.
2. A reading is one look at all counters; the interfaces are looked at in the same moment, less
   link headers and ARP.
3. ``generation`` names this life of the counters: another boot or a table made anew is another.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tripgate.core import nftrules
from tripgate.core.counts import NOTHING, Reading, SlotCount, Volume, fresh
from tripgate.core.nftrules import TABLE, RuleSpec
from tripgate.kernel.nft import Nft, NftError

_NET = Path("/sys/class/net")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ETHERNET = 1  # ARPHRD_ETHER (linux/if_arp.h)
_HEADER = 14

log = logging.getLogger("tripgate.table")


@dataclass(slots=True)
class _Quota:
    """A quota of the kernel: its object's name, its limit and what had passed at the last look."""

    name: str
    limit: int
    used: int = 0


class KernelTable:
    """The tables of one gateway. Every method may raise ``OSError``."""

    def __init__(self, nft: Nft) -> None:
        self._nft = nft
        self._quotas: dict[int, _Quota] = {}
        self._made = 0
        self._uplinks: tuple[str, ...] = ()
        self._uplink = NOTHING
        self._before: dict[str, Volume] = {}

    # -- life -------------------------------------------------------------------------------

    def apply(self, spec: RuleSpec) -> None:
        """Make the tables, or bring them to what ``spec`` says; counters go on."""
        self._uplinks = spec.uplinks
        self._nft.run(nftrules.text(spec))
        self._adopt()

    def remove(self) -> None:
        """Take both tables back."""
        self._nft.run(nftrules.removal())
        self._quotas.clear()

    def generation(self) -> str:
        """Which life of the counters this is."""
        found = self._nft.query("list tables inet")
        handles = [one["table"]["handle"] for one in found if _is_ours(one)]
        return f"{_BOOT.read_text(encoding='ascii').strip()} {handles}"

    def fingerprint(self) -> str:
        """The rules without counters and elements: another text means a change by somebody."""
        return self._nft.text(f"list table inet {TABLE}")

    def _adopt(self) -> None:
        """Take over the quotas that a run before left: they go on as they are."""
        found = self._elements("map", "quotas")
        limits = {one["name"]: one for one in self._objects("quotas", "quota")}
        self._quotas = {
            slot: _Quota(name, limits[name]["bytes"], limits[name]["used"])
            for slot, name in found
            if name in limits
        }
        numbers = [int(name.rpartition("_")[2]) for name in limits]
        self._made = max(numbers, default=0)

    # -- devices ----------------------------------------------------------------------------

    def set_devices(self, macs: Mapping[str, int], open_slots: Iterable[int]) -> None:
        """Which MAC has which slot, and which slots are open, at once."""
        elements = ", ".join(f"{mac} : {slot:#x}" for mac, slot in macs.items())
        slots = ", ".join(f"{slot:#x}" for slot in open_slots)
        self._nft.run(
            f"flush map inet {TABLE} macs\nflush set inet {TABLE} open\n"
            + (f"add element inet {TABLE} macs {{ {elements} }}\n" if elements else "")
            + (f"add element inet {TABLE} open {{ {slots} }}\n" if slots else "")
        )

    def set_owners(self, slots: Iterable[int]) -> None:
        """Whose SSH is answered under ``--ssh owner``."""
        elements = ", ".join(f"{slot:#x}" for slot in slots)
        self._nft.run(
            f"flush set inet {TABLE} owners\n"
            + (f"add element inet {TABLE} owners {{ {elements} }}\n" if elements else "")
        )

    def allow(self, volumes: Mapping[int, int]) -> None:
        """Let so many more bytes of each slot be forwarded, from the last reading on (rule 1)."""
        lines: list[str] = []
        after = dict(self._quotas)
        for slot, volume in volumes.items():
            quota = self._quotas.get(slot)
            if quota is None or (quota.used >= quota.limit and volume):
                after[slot] = self._anew(slot, volume, quota, lines)
            elif quota.used < quota.limit and quota.used + volume != quota.limit:
                after[slot] = _Quota(quota.name, quota.used + volume, quota.used)
                lines.append(_quota(quota.name, quota.used + volume))
        if lines:
            self._nft.run("\n".join(lines))
            self._quotas = after

    def _anew(self, slot: int, volume: int, old: _Quota | None, lines: list[str]) -> _Quota:
        self._made += 1
        name = f"q{slot}_{self._made}"
        lines.append(_quota(name, volume))
        if old is not None:
            lines.append(f"delete element inet {TABLE} quotas {{ {slot:#x} }}")
        lines.append(f'add element inet {TABLE} quotas {{ {slot:#x} : "{name}" }}')
        if old is not None:
            lines.append(f"delete quota inet {TABLE} {old.name}")
        return _Quota(name, volume)

    # -- reading ----------------------------------------------------------------------------

    def read(self) -> Reading:
        """All counters now."""
        sides = [self._counters(name) for name in nftrules.SETS]
        up, down, forwarded_up, forwarded_down = sides
        slots = {
            slot: SlotCount(
                Volume(up.get(slot, 0), down.get(slot, 0)),
                Volume(forwarded_up.get(slot, 0), forwarded_down.get(slot, 0)),
            )
            for slot in {*up, *down}
        }
        used = {one["name"]: one["used"] for one in self._objects("quotas", "quota")}
        for quota in self._quotas.values():
            quota.used = used.get(quota.name, quota.used)
        return Reading(slots, self._interfaces())

    def _interfaces(self) -> Volume:
        """Cumulative over all uplinks that there were; one that comes back begins at zero."""
        down = self._counters("arp_down", "arp")
        up = self._counters("arp_up", "arp")
        for name in self._uplinks:
            now = _l3(name)
            if now is not None:
                now -= Volume(up.get(name, 0), down.get(name, 0))
                self._uplink += fresh(self._before.get(name, NOTHING), now)
                self._before[name] = now
        return self._uplink

    def _counters(self, name: str, family: str = "inet") -> dict[Any, int]:
        return {
            one["elem"]["val"]: one["elem"]["counter"]["bytes"]
            for one in self._elements("set", name, family)
        }

    def _elements(self, kind: str, name: str, family: str = "inet") -> list[Any]:
        found = self._nft.query(f"list {kind} {family} {TABLE} {name}")
        return next((one[kind].get("elem", []) for one in found if kind in one), [])

    def _objects(self, listed: str, kind: str) -> list[dict[str, Any]]:
        found = self._nft.query(f"list {listed} table inet {TABLE}")
        return [one[kind] for one in found if kind in one]


def _quota(name: str, volume: int) -> str:
    return f"add quota inet {TABLE} {name} {{ over {volume} bytes }}"


def _is_ours(one: dict[str, Any]) -> bool:
    return "table" in one and one["table"]["name"] == TABLE


def _l3(name: str) -> Volume | None:
    """L3 bytes of an interface (and ARP); ``None``: it is not there."""
    folder = _NET / name
    try:
        header = _HEADER if _number(folder / "type") == _ETHERNET else 0
        counts = {
            key: _number(folder / "statistics" / key)
            for key in ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets")
        }
    except (OSError, ValueError):
        return None
    return Volume(
        counts["tx_bytes"] - header * counts["tx_packets"],
        counts["rx_bytes"] - header * counts["rx_packets"],
    )


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


__all__ = ["KernelTable", "NftError"]
