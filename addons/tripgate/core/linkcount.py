"""The L3 bytes of one uplink, over all lives of its interface.

Rules
1. The interface's own counter is the truth while it lives: it has every packet.
2. It is gone with the interface, and begins at zero when that comes back. What it has counted since
   the last reading is gone too: the rules' counter of that uplink, which survives, stands in.
3. An interface that is away for a moment (not in use, or not found) and goes on with its counter
   has counted all of that time itself: what stood in is taken off.
"""

from dataclasses import dataclass

from tripgate.core.counts import NOTHING, Volume, fresh


@dataclass(frozen=True, slots=True)
class LinkCount:
    """``own``: the interface's counter when it was last seen, in its ``life`` (its index);
    ``passed``: the rules' counter; ``stood_in``: what was taken from the rules since ``own`` was
    read."""

    total: Volume
    own: Volume
    passed: Volume
    life: int
    stood_in: Volume = NOTHING

    @classmethod
    def first(cls, own: Volume, passed: Volume, life: int) -> "LinkCount":
        """Of an uplink that was never seen before: all that its interface has counted."""
        return cls(own, own, passed, life)

    def read(self, own: Volume | None, passed: Volume, life: int) -> "LinkCount":
        """The next reading; ``own`` is ``None`` while there is no interface."""
        told = fresh(self.passed, passed)
        if own is None:
            return LinkCount(self.total + told, self.own, passed, self.life, self.stood_in + told)
        fell = own.up < self.own.up or own.down < self.own.down
        if life == self.life and not fell:
            moved = _most(own - self.own - self.stood_in, NOTHING)
        else:
            moved = _most(own, told)
        return LinkCount(self.total + moved, own, passed, life)


def _most(one: Volume, other: Volume) -> Volume:
    return Volume(max(one.up, other.up), max(one.down, other.down))
