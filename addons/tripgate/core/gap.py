"""What the uplink's own counter has and no slot has: bytes without an owner.

The interface and the slots are read one after the other, so packets in between make their
difference flutter. A gap is real when it stays.

Rule: the gap that counts is the least of the last ``LOOKS`` differences, and never falls.
"""

from collections import deque

from tripgate.core.counts import NOTHING, Volume

LOOKS = 3


class Gap:
    """The difference of two cumulative counts."""

    def __init__(self) -> None:
        self._looks: deque[Volume] = deque(maxlen=LOOKS)
        self._known = NOTHING

    @property
    def known(self) -> Volume:
        """The gap so far."""
        return self._known

    def look(self, uplink: Volume, slots: Volume) -> Volume:
        """Compare both, cumulative since the same instant; returns the new bytes of the gap."""
        self._looks.append(uplink - slots)
        if len(self._looks) < LOOKS:
            return NOTHING
        least = Volume(
            max(self._known.up, min(look.up for look in self._looks)),
            max(self._known.down, min(look.down for look in self._looks)),
        )
        new, self._known = least - self._known, least
        return new
