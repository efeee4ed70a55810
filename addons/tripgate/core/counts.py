"""Counts of the kernel: L3 bytes by direction, cumulative since some beginning.

Rules
1. Up is towards the uplink, down is towards the device.
2. A counter that is smaller than before began again at zero (:func:`fresh`).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Volume:
    """Bytes by direction."""

    up: int = 0
    down: int = 0

    @property
    def total(self) -> int:
        return self.up + self.down

    def __add__(self, other: "Volume") -> "Volume":
        return Volume(self.up + other.up, self.down + other.down)

    def __sub__(self, other: "Volume") -> "Volume":
        return Volume(self.up - other.up, self.down - other.down)


NOTHING = Volume()

_FULL, _CARRIED = 1500, 1448
"""Bytes of a full packet, and its payload (TCP with timestamps, RFC 7323)."""


@dataclass(frozen=True, slots=True)
class SlotCount:
    """Cumulative L3 bytes of one slot; ``forwarded``: those, both ways, that no relay carried."""

    total: Volume = NOTHING
    forwarded: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at about one instant; ``uplink``: what the interfaces themselves counted;
    ``spent``: slots that wanted to forward more than they might."""

    slots: Mapping[int, SlotCount]
    uplink: Volume
    spent: frozenset[int] = frozenset()


def with_headers(payload: int) -> int:
    """About what so much payload is in L3 bytes."""
    return payload * _FULL // _CARRIED


def divide(volume: int, payload: Volume) -> Volume:
    """``volume`` bytes of L3 by direction, of which so much was payload: that and its headers one
    way, the rest, which acknowledges it, the other. All down, if nothing was payload."""
    headed = Volume(with_headers(payload.up), with_headers(payload.down))
    if not payload.total:
        return Volume(0, volume)
    if headed.total >= volume:
        up = volume * payload.up // payload.total
        return Volume(up, volume - up)
    rest = volume - headed.total
    up = rest * payload.down // payload.total
    return headed + Volume(up, rest - up)


def share(whole: Volume, wanted: Mapping[str, Volume]) -> dict[str, Volume]:
    """What everybody wants of ``whole``, each direction cut down in proportion where it is less."""
    sums = sum(wanted.values(), NOTHING)
    return {
        name: Volume(
            one.up * min(whole.up, sums.up) // max(1, sums.up),
            one.down * min(whole.down, sums.down) // max(1, sums.down),
        )
        for name, one in wanted.items()
    }


def fresh(before: Volume, now: Volume) -> Volume:
    """New bytes since ``before``, each direction for itself."""
    return Volume(fresh_bytes(before.up, now.up), fresh_bytes(before.down, now.down))


def fresh_bytes(before: int, now: int) -> int:
    """As :func:`fresh`, of one number."""
    return now - before if now >= before else now
