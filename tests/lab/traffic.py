"""Traffic for the lab: exact UDP exchanges beside the real clients."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.lab import Lab

UDP4, UDP6 = 28, 48  # headers of IP and UDP
POLL_S = 0.05


def udp_socket(lab: Lab, namespace: str, address: str, port: int = 0) -> socket.socket:
    """A UDP socket in ``namespace``, bound to ``address``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(namespace):
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.bind((address, port))
    made.settimeout(5.0)
    return made


@dataclass
class Echo:
    """A UDP server that sends each datagram back, ``times`` times."""

    port: int
    received: int = 0


@contextmanager
def udp_echo(
    lab: Lab, address: str, port: int = 7, times: int = 1, namespace: str | None = None
) -> Iterator[Echo]:
    """Such a server on ``address`` of the lab's server, or of another namespace."""
    echo, done = Echo(port), threading.Event()
    with udp_socket(lab, namespace or lab.server, address, port) as listening:
        listening.settimeout(POLL_S)

        def serve() -> None:
            while not done.is_set():
                try:
                    data, peer = listening.recvfrom(65536)
                except TimeoutError:
                    continue
                echo.received += 1
                for _ in range(times):
                    listening.sendto(data, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield echo
        finally:
            done.set()
            thread.join()
