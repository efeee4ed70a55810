"""A slow link: packets between two TUN devices, each held for a time (the kernel has no netem).

Started with the two descriptors and the delay of one direction in milliseconds. A direction holds
at most ``MOST`` packets; what comes then is dropped, as a router's queue does.
"""

import contextlib
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

MOST = 8192
MTU = 1500
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x1, 0x1000


def open_tun(name: str) -> int:
    """A new TUN device in this thread's network namespace; gone when its descriptor closes."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except BaseException:
        os.close(tun)
        raise
    return tun


def _take(tun: int, held: "deque[tuple[float, bytes]]", due: float) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            packet = os.read(tun, MTU)
            if len(held) < MOST:
                held.append((due, packet))


def _give(tun: int, held: "deque[tuple[float, bytes]]", now: float) -> None:
    while held and held[0][0] <= now:
        with contextlib.suppress(BlockingIOError):
            os.write(tun, held.popleft()[1])


def main(one: int, other: int, delay_ms: float) -> None:
    """Until it is ended."""
    directions: list[tuple[int, int, deque[tuple[float, bytes]]]]
    directions = [(one, other, deque()), (other, one, deque())]
    while True:
        due = min((held[0][0] for *_, held in directions if held), default=None)
        wait = None if due is None else max(0.0, due - time.monotonic())
        select.select([one, other], [], [], wait)
        now = time.monotonic()
        for source, sink, held in directions:
            _take(source, held, now + delay_ms / 1000)
            _give(sink, held, now)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
