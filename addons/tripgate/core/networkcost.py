"""The Network Cost element of beacons: how Windows learns that data is metered.

A vendor-specific element (IEEE 802.11-2020 clause 9.4.2.25): ``DD 08``, Microsoft's OUI and type
``00 50 F2 11``, then the cost, a zero, the flags, a zero. Its flags follow the plan: approaching
from 80 % of the volume on, over from all of it on.
"""

UNRESTRICTED = 0x01
FIXED = 0x02
OVER = 0x01
APPROACHING = 0x08

_HEAD = bytes.fromhex("dd080050f211")


def element(used: int, volume: int | None, *, metered: bool) -> str:
    """The element in hexadecimal. ``used`` and ``volume`` in bytes; ``None``: unlimited."""
    cost = FIXED if metered else UNRESTRICTED
    return (_HEAD + bytes((cost, 0, _flags(used, volume) if metered else 0, 0))).hex()


def _flags(used: int, volume: int | None) -> int:
    if volume is None:
        return 0
    if used >= volume:
        return OVER
    return APPROACHING if used * 10 >= volume * 8 else 0
