"""What the gateway asks and tells the kernel about an upstream socket.

Rules
1. The last word is the kernel's: at the end ``tcp_info`` says what arrived unread and what was
   never sent.
2. A window that was once offered cannot be taken back, and what a server has sent is billed: the
   window is held by ``SO_RCVBUF``, which also ends autotuning, and then by ``TCP_WINDOW_CLAMP``.
   The kernel lifts a clamp when it measures segments again, so each call sets it anew.
3. The gateway's own calls fail quietly: the socket may be gone by then.
"""

import contextlib
import os
import socket
import struct

from tripgate.core import tcpinfo
from tripgate.core.meter import WireState

Socket = socket.SocketType
"""The kernel's socket as the interpreter has it, below what :mod:`socket` adds: connections that
nobody makes a file or a context of need no more, and accept and close in half the time."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` on with zero seconds: close sends RST and drops what is queued."""

WINDOW_MIN = 2 * 1024
SYN_WINDOW = 64 * 1024
"""What a SYN offers by itself. A smaller window must be there before it; that costs the window
scale, so a window of this size and above waits for the connection."""

WINDOW_FREE = 1024 * 1024
"""A window of this size and above is left to the kernel's autotuning."""

WINDOW_WIDE = 4 * 1024 * 1024
"""What a window opens to that was held before: autotuning does not come back."""

RMEM_MAX = 212_992
"""What ``SO_RCVBUF`` gives where nobody has changed ``net.core.rmem_max``."""

LAST_LOOKS = 8

FIN_SENT = frozenset({tcpinfo.FIN_WAIT1, tcpinfo.FIN_WAIT2})
FIN_RECEIVED = frozenset({tcpinfo.CLOSE_WAIT, tcpinfo.LAST_ACK, tcpinfo.CLOSING})

_TCP_WINDOW_CLAMP = getattr(socket, "TCP_WINDOW_CLAMP", 10)
_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>; the module socket does not have it


def wire(sock: Socket, *, dead: bool) -> WireState | None:
    """The socket's own counts; ``None`` where the kernel does not tell. ``dead``: it was cut."""
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return None
    info = tcpinfo.parse(raw)
    fin = 1 if info.state in FIN_RECEIVED else 0
    return WireState(
        sent=info.bytes_sent - info.bytes_retrans,
        received=info.bytes_received - fin,
        segments=info.segs_in + info.segs_out,
        retransmitted=info.bytes_retrans,
        dead=dead or info.state == tcpinfo.CLOSE,
    )


def last_word(sock: Socket, *, dead: bool) -> WireState | None:
    """The last counts, with everything in them acknowledged: the reset that follows would leave a
    delayed ACK unsent, and the server would not know what the uplink has carried. Nothing more is
    let in meanwhile."""
    last = wire(sock, dead=dead)
    if last is None:
        return None
    _offer(sock, WINDOW_MIN)
    for _ in range(LAST_LOOKS):
        acknowledge(sock)
        before, last = last.received, wire(sock, dead=dead) or last
        if last.received == before:
            break
    return last


def acknowledge(sock: Socket) -> None:
    """Have the kernel send the ACK that it delays, on a socket that is about to be closed.

    ``TCP_QUICKACK`` does nothing once a FIN was sent; there reading does it. One byte will do, and
    must: to read more would open the window. What is left unread makes the close a reset in any
    case, so the byte that was read here must too.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state in FIN_SENT and os.read(sock.fileno(), 1):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def set_window(sock: Socket, volume: int, *, held: bool) -> bool:
    """Offer the server at most ``volume`` bytes beyond what was read.

    ``held``: what the last call for this socket returned, False at first. From ``WINDOW_FREE`` on
    the kernel is left to itself, and a window that was held is opened wide again.
    """
    if volume < WINDOW_FREE:
        _offer(sock, max(volume, WINDOW_MIN))
        return True
    if held:
        _offer(sock, WINDOW_WIDE)
    return False


def _offer(sock: Socket, volume: int) -> None:
    with contextlib.suppress(OSError):
        if volume <= RMEM_MAX or not _force(sock, volume):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, volume)
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_WINDOW_CLAMP, volume)


def _force(sock: Socket, volume: int) -> bool:
    """Past ``net.core.rmem_max``; False without the privilege for it (CAP_NET_ADMIN)."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, volume)
    except PermissionError:
        return False
    return True
