"""What Linux tells of a TCP socket: ``getsockopt(IPPROTO_TCP, TCP_INFO)``, parsed.

The layout is ``struct tcp_info`` of linux/tcp.h, which only ever grows at its end. An older
kernel returns a shorter structure: what is missing reads as zero.
"""

import struct
from dataclasses import dataclass

FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING = 4, 5, 7, 8, 9, 11
"""Values of ``tcpi_state`` (linux/tcp_states.h)."""

SIZE = 232
"""Bytes to ask the kernel for."""

_COUNTS = struct.Struct("=QQIII")  # bytes_acked, bytes_received, segs_out, segs_in, notsent_bytes
_COUNTS_AT = 120
_SENT = struct.Struct("=QQ")  # bytes_sent, bytes_retrans (Linux 4.19)
_SENT_AT = 200


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Counts of one socket: bytes and segments since it was made.

    ``bytes_received`` counts a FIN as one byte, and so does ``bytes_acked``.
    """

    state: int
    bytes_acked: int
    bytes_received: int
    segs_out: int
    segs_in: int
    notsent_bytes: int
    bytes_sent: int
    bytes_retrans: int


def parse(raw: bytes) -> TcpInfo:
    """Read what the kernel returned, of whatever length."""
    padded = raw[:SIZE].ljust(SIZE, b"\0")
    return TcpInfo(
        padded[0], *_COUNTS.unpack_from(padded, _COUNTS_AT), *_SENT.unpack_from(padded, _SENT_AT)
    )
