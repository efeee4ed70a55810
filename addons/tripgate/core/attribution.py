"""Whose name the kernel's bytes get: L3 bytes of one device, split over what its flows moved.

The kernel counts a device's packets to the byte and knows no names; the relay knows names and
counts payload only. Both look at slightly different instants.

Rules
1. What is given out is exactly what the kernel counted, in each direction: nothing is invented,
   nothing is lost.
2. Payload comes first, under its own name. Payload that the kernel has not counted yet (it waits
   in a send buffer) stays pending until it has.
3. Forwarded packets have no name (``None``).
4. The rest is headers, acknowledgements and retransmissions. It follows the payload of both
   directions in proportion; where nothing moved, that of the time before.
5. At most ``MOST_NAMES`` names wait at once; more go to ``None``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tripgate.core.counts import NOTHING, Volume

MOST_NAMES = 512

Name = str | None


class Attribution:
    """The pending payload of one device."""

    def __init__(self) -> None:
        self._pending: dict[Name, Volume] = {}
        self._before: Mapping[Name, int] = {}

    def add(self, name: Name, payload: Volume) -> None:
        """Payload that a flow has moved under ``name``."""
        if name not in self._pending and len(self._pending) >= MOST_NAMES:
            name = None
        self._pending[name] = self._pending.get(name, Volume()) + payload

    @property
    def waiting(self) -> Volume:
        """Payload that the kernel has not counted yet, or never will."""
        return sum(self._pending.values(), NOTHING)

    def split(self, counted: Volume, forwarded: int = 0) -> dict[Name, Volume]:
        """Give out what the kernel has counted since the last call.

        ``forwarded``: the part of it, both ways, that went past the relay. Its directions are not
        known and are taken to be those of the whole.
        """
        forwarded = min(forwarded, counted.total)
        forwarded_up = forwarded * counted.up // counted.total if counted.total else 0
        weights = {name: volume.total for name, volume in self._pending.items() if volume.total}
        if weights:
            self._before = weights
        up = self._direction(
            {name: volume.up for name, volume in self._pending.items()}, counted.up, forwarded_up
        )
        down = self._direction(
            {name: volume.down for name, volume in self._pending.items()},
            counted.down,
            forwarded - forwarded_up,
        )
        self._keep(up.payload, down.payload)
        names = dict.fromkeys((*up.given, *down.given))
        return {name: Volume(up.given.get(name, 0), down.given.get(name, 0)) for name in names}

    def _direction(self, pending: Mapping[Name, int], counted: int, forwarded: int) -> "_Given":
        past = min(counted, forwarded)
        relayed = counted - past
        waiting = sum(pending.values())
        payload = dict(_share(pending, min(waiting, relayed)))
        given = dict(payload)
        rest = relayed - sum(payload.values())
        for name, volume in _share(self._before or {None: 1}, rest):
            given[name] = given.get(name, 0) + volume
        if past:
            given[None] = given.get(None, 0) + past
        return _Given({name: volume for name, volume in given.items() if volume}, payload)

    def _keep(self, up: Mapping[Name, int], down: Mapping[Name, int]) -> None:
        left = {
            name: volume - Volume(up.get(name, 0), down.get(name, 0))
            for name, volume in self._pending.items()
        }
        self._pending = {name: volume for name, volume in left.items() if volume.total}


@dataclass(frozen=True, slots=True)
class _Given:
    given: Mapping[Name, int]
    payload: Mapping[Name, int]


def _share(weights: Mapping[Name, int], amount: int) -> Iterable[tuple[Name, int]]:
    """Split ``amount`` by weight into whole bytes that add up to it."""
    left, whole = amount, sum(weights.values())
    for name, weight in weights.items():
        part = left * weight // whole if whole else 0
        yield name, part
        left, whole = left - part, whole - weight
