"""What a TCP payload costs on the wire at L3, before the kernel's counters say it exactly.

Rules
1. A segment has an IP and a TCP header, with the timestamp option (RFC 7323 section 3). A segment
   is full (``mss`` bytes of payload) but for the last one of a piece.
2. A receiver acknowledges every second full segment (RFC 5681 section 4.2), and the last one. An
   acknowledgement is a header that goes the other way.
3. Opening and closing a connection are headers too: three segments with the options of a SYN, then
   a FIN and its acknowledgement on each side.
4. It is an estimate: it knows nothing of retransmissions, nor of how a server cuts its data. The
   kernel's counters put it right (:mod:`tripgate.proxy.kernelaccount`).
"""

from dataclasses import dataclass, field

HEADER = {4: 20 + 32, 6: 40 + 32}
"""Bytes of IP and TCP header of a segment, by IP version; the timestamp option is 12 of them."""

SYN_EXTRA = 8
"""What a SYN's options (MSS, SACK permitted, window scale) take beside the timestamp."""

MTU = 1500


@dataclass(frozen=True, slots=True)
class WireCost:
    """The cost of one connection's payload; ``header`` and ``mss`` in bytes."""

    header: int
    mss: int
    opening: tuple[int, int] = field(init=False)
    """Up and down: SYN, its answer, the last acknowledgement."""
    closing: tuple[int, int] = field(init=False)
    """Up and down: a FIN and an acknowledgement on each side."""
    least: int = field(init=False)
    """What a connection costs that moves one byte."""

    def __post_init__(self) -> None:
        opening = 2 * self.header + SYN_EXTRA, self.header + SYN_EXTRA
        object.__setattr__(self, "opening", opening)
        object.__setattr__(self, "closing", (2 * self.header, 2 * self.header))
        object.__setattr__(self, "least", sum(opening) + self.volume(1))

    @classmethod
    def of(cls, version: int, mtu: int = MTU) -> "WireCost":
        """For IP ``version`` 4 or 6 over a path of ``mtu`` bytes."""
        return cls(HEADER[version], mtu - HEADER[version])

    def sent(self, payload: int) -> int:
        """Bytes in the payload's own direction."""
        return payload + -(-payload // self.mss) * self.header

    def acknowledged(self, payload: int) -> int:
        """Bytes of acknowledgements, in the other direction."""
        return (-(-payload // self.mss) + 1) // 2 * self.header

    def both(self, payload: int) -> tuple[int, int]:
        """Bytes in the payload's own direction, and in the other one."""
        segments = -(-payload // self.mss)
        return payload + segments * self.header, (segments + 1) // 2 * self.header

    def volume(self, payload: int) -> int:
        """Bytes in both directions together."""
        segments = -(-payload // self.mss)
        return payload + (segments + (segments + 1) // 2) * self.header

    def payload(self, volume: int) -> int:
        """The most payload whose cost is within ``volume``; 0 if not even one byte's is."""
        pair = 2 * self.mss + 3 * self.header
        pairs, rest = divmod(volume, pair)
        if rest > self.mss + 3 * self.header:
            return 2 * pairs * self.mss + rest - 3 * self.header
        return 2 * pairs * self.mss + min(self.mss, max(0, rest - 2 * self.header))
