"""A mixed load of one device of the lab: web on many ports, datagrams, pings, names.

    python mixload.py SERVER4 SERVER6 RESOLVER SECONDS PORT…

It prints how many exchanges of each kind came to their end.
"""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

VPN_PORT = 443
ECHO_PORT = 7
QUIC_LONG = b"\xc0" + bytes(1199)
PACKET = b"\x40" + bytes(999)
Work = Callable[[], bool]


def tcp(address: str, port: int) -> bool:
    """One download and one upload."""
    with socket.create_connection((address, port), 5) as made:
        made.settimeout(5)
        made.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + bytes(50000))
        made.sendall(b"GET /300000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = 0
        while piece := made.recv(65536):
            got += len(piece)
    return got > 300_000


def udp(address: str, port: int, data: bytes) -> bool:
    """Ten datagrams there and back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.settimeout(0.5)
        made.connect((address, port))
        with contextlib.suppress(OSError):
            for _ in range(10):
                made.send(data)
                made.recv(2000)
            return True
    return False


def run(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def main() -> None:
    """See above."""
    v4, v6, resolver, seconds, *ports = sys.argv[1:]
    works: dict[str, list[Work]] = {
        "tcp": [lambda a=a, p=p: tcp(a, int(p)) for a in (v4, v6) for p in ports],  # type: ignore[misc]
        "udp": [lambda a=a: udp(a, ECHO_PORT, PACKET) for a in (v4, v6)],  # type: ignore[misc]
        "vpn": [lambda: udp(v4, VPN_PORT, PACKET)],
        "quic": [lambda: udp(v4, VPN_PORT, QUIC_LONG)],
        "ping": [lambda a=a: run("ping", "-qc", "3", "-i", "0.1", a) for a in (v4, v6)],  # type: ignore[misc]
        "dns": [lambda: run("dig", "+tries=1", "+time=1", f"@{resolver}", "site.example")],
    }
    done: Counter[str] = Counter()
    until = time.monotonic() + float(seconds)

    def go_on(kind: str, work: Work) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                done[kind] += work()
            time.sleep(0.05)

    threads = [
        threading.Thread(target=go_on, args=(kind, work))
        for kind, several in works.items()
        for work in several
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*(f"{kind}={count}" for kind, count in sorted(done.items())))


if __name__ == "__main__":
    main()
