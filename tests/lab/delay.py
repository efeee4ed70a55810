"""A link with delay and loss, in user space: this kernel may have no netem.

Rules
1. Two TUN devices, each in a namespace of its own; what is written to one comes out of the other
   after ``--delay`` milliseconds, in order.
2. The queue of each direction holds ``--limit`` packets at most; more are dropped, as a router's
   buffer would. ``--loss`` drops every so-many-th packet on top, the same ones in every run.
3. It prints ``ready`` when the devices are there, and ends with SIGTERM.

    python delay.py --a NETNS IFACE --b NETNS IFACE --delay 75 [--loss 100] [--limit 10000]
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import select
import struct
import time
from collections import deque
from dataclasses import dataclass, field

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PACKET = 65_536
_AT_ONCE = 64


def enter(netns: str) -> None:
    """Move this thread into the network namespace ``netns``."""
    with open(f"/run/netns/{netns}") as file:  # noqa: PTH123 - setns wants a descriptor
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def open_tun(netns: str, name: str) -> int:
    """A TUN device called ``name`` in ``netns``; its descriptor, non-blocking."""
    enter(netns)
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return fd


@dataclass
class Direction:
    """Packets on their way from one device to the other."""

    source: int
    sink: int
    delay: float
    loss: int
    limit: int
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    seen: int = 0

    def take(self, now: float) -> None:
        """Read what has come."""
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(self.source, _PACKET)
            except BlockingIOError:
                return
            self.seen += 1
            if len(self.waiting) < self.limit and not (self.loss and self.seen % self.loss == 0):
                self.waiting.append((now + self.delay, packet))

    def give(self, now: float) -> None:
        """Write what is due."""
        while self.waiting and self.waiting[0][0] <= now:
            with contextlib.suppress(OSError):  # the device is down or full: the packet is lost
                os.write(self.sink, self.waiting.popleft()[1])


def main() -> None:
    """Move packets until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--a", nargs=2, required=True)
    parser.add_argument("--b", nargs=2, required=True)
    parser.add_argument("--delay", type=float, required=True)
    parser.add_argument("--loss", type=int, default=0)
    parser.add_argument("--limit", type=int, default=10_000)
    given = parser.parse_args()
    a, b = open_tun(*given.a), open_tun(*given.b)
    settings = (given.delay / 1000, given.loss, given.limit)
    ways = (Direction(a, b, *settings), Direction(b, a, *settings))
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        due = min((way.waiting[0][0] for way in ways if way.waiting), default=now + 1)
        readable, _, _ = select.select([a, b], [], [], max(0.0, due - now))
        now = time.monotonic()
        for way in ways:
            if way.source in readable:
                way.take(now)
            way.give(now)


if __name__ == "__main__":
    main()
