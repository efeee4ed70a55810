"""Marks: how a packet on the uplink says whose it is (router mode).

Rules
1. The conntrack mark of a connection is its owner's *slot* and nothing else; the gateway owns the
   whole mark. ``GATEWAY`` is the box itself, 0 is nobody (``unattributed``).
2. The packet mark carries the slot too (``SO_MARK`` on the relay's upstream sockets; set from the
   source MAC on forwarded flows), and above it two bits that only routing looks at: ``TPROXY``
   (deliver to the gateway's own socket) and ``OPEN`` (may be forwarded; without it the routing
   guard refuses).
3. Slots of devices are ``FIRST`` and up, stable for as long as the device is in the book.
"""

NOBODY = 0
GATEWAY = 1
FIRST = 2
LAST = 4095

SLOT_MASK = 0x0FFF
TPROXY = 0x10000
OPEN = 0x20000


def slot_of(mark: int) -> int:
    """The slot in a packet or conntrack mark."""
    return mark & SLOT_MASK
