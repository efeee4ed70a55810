"""The L3 bytes of one uplink, over all lives of its interface.

Rules
1. The interface's own counter is the truth while it lives: it has every packet.
2. It is gone with the interface, and begins at zero when that comes back. What it has counted since
   the last reading is gone too: the rules' counter of that uplink, which survives, stands in.
   A life is told by the interface's index; within one, only a fall by more than ``SLACK`` is a new
   beginning: ARP is taken off by a count that is read a moment later, and may be ahead.
3. An interface that is away for a moment (not in use, or not found) and goes on with its counter
   has counted all of that time itself: what stood in is taken off.
"""

from dataclasses import dataclass

from tripgate.core.counts import NOTHING, Volume, fresh

SLACK = 4096


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
    def first(cls, own: Volume, passed: Volume, life: int, *, young: bool = True) -> "LinkCount":
        """Of an uplink that was never seen before: all that its interface has counted, or nothing
        yet if it is not ``young``: what it has counted was somebody else's."""
        return cls(own if young else NOTHING, own, passed, life)

    def read(self, own: Volume | None, passed: Volume, life: int) -> "LinkCount":
        """The next reading; ``own`` is ``None`` while there is no interface."""
        told = fresh(self.passed, passed)
        if own is None:
            return LinkCount(self.total + told, self.own, passed, self.life, self.stood_in + told)
        if life != self.life:
            return LinkCount(self.total + _most(own, told), own, passed, life)
        moved = _most(own - self.own - self.stood_in, NOTHING)
        if _least(own - self.own) >= -SLACK:
            return LinkCount(self.total + moved, _most(own, self.own), passed, life)
        moved = _most(told, Volume(*map(_since, _both(self.own), _both(own), _both(moved))))
        return LinkCount(self.total + moved, own, passed, life)


def _since(before: int, now: int, grown: int) -> int:
    """One direction of a counter that began anew."""
    return now if now < before else grown


def _both(one: Volume) -> tuple[int, int]:
    return one.up, one.down


def _least(one: Volume) -> int:
    return min(one.up, one.down)


def _most(one: Volume, other: Volume) -> Volume:
    return Volume(max(one.up, other.up), max(one.down, other.down))
