"""What devices do in the benchmarks, run in a device's namespace; reports JSON.

python load.py connections HOST PORT COUNT AT_ONCE      TLS connections of /10k, one after one
python load.py paced HOST PORT COUNT PER_SECOND         the same at a fixed rate, with latencies
python load.py download HOST PORT PATH [FLOWS]          TLS downloads side by side
python load.py busy HOST PORT SECONDS                   small TLS exchanges, two a second
python load.py udp HOST PORT COUNT MBIT                 COUNT datagrams from an echo server
python load.py echo PORT                                their server
python load.py idle HOST PORT COUNT                     connections that say hello and stay
python load.py hold PORT                                their server
"""

import contextlib
import json
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

NAME = "origin.example"
TIMEOUT_S = 30.0
SILENCE_S = 2.0
BUFFER = 256 * 1024
PAYLOAD = 1200
IPV6_RECVPKTINFO = 49  # <linux/in6.h>


def context() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


TLS = context()


def fetch(host: str, port: int, path: str) -> int:
    """One TLS connection, one request, to its end; bytes of the answer."""
    with socket.create_connection((host, port), TIMEOUT_S) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with TLS.wrap_socket(plain, server_hostname=NAME) as sock:
            ask = f"GET /{path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
            sock.sendall(ask.encode())
            view, total = memoryview(bytearray(BUFFER)), 0
            while got := sock.recv_into(view):
                total += got
            return total


def together(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def connections(host: str, port: int, count: int, at_once: int) -> dict[str, float]:
    """``count`` connections, ``at_once`` at a time."""
    todo: SimpleQueue[int] = SimpleQueue()
    for number in range(count):
        todo.put(number)
    done: list[int] = []

    def work() -> None:
        while True:
            try:
                todo.get_nowait()
            except Empty:
                return
            done.append(fetch(host, port, "10k"))

    began = time.monotonic()
    together(at_once, work)
    return {"done": sum(size > 10_240 for size in done), "seconds": time.monotonic() - began}


def paced(host: str, port: int, count: int, per_second: float) -> dict[str, list[Any]]:
    """Milliseconds from the connect to the answer's end, of connections at a fixed rate; what was
    wrong with those that failed."""
    taken: list[float] = []
    errors: list[str] = []
    began = time.monotonic()

    def one() -> None:
        started = time.monotonic()
        try:
            fetch(host, port, "10k")
        except OSError as error:
            errors.append(f"after {time.monotonic() - started:.3f} s: {error!r}")
        else:
            taken.append((time.monotonic() - started) * 1000)

    threads = []
    for number in range(count):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        threads.append(threading.Thread(target=one))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return {"ms": taken, "errors": errors}


def download(host: str, port: int, path: str, flows: int = 1) -> dict[str, float]:
    """``flows`` downloads side by side; one that is cut counts what it got."""
    sizes: list[int] = []

    def one() -> None:
        total = 0
        with contextlib.suppress(OSError):
            total = fetch(host, port, path)
        sizes.append(total)

    began = time.monotonic()
    together(flows, one)
    return {"bytes": sum(sizes), "seconds": time.monotonic() - began}


def busy(host: str, port: int, seconds: float) -> dict[str, int]:
    """A device in use: 10 KiB twice a second."""
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        done += fetch(host, port, "10k") > 0
        time.sleep(0.5)
    return {"done": done}


def udp(host: str, port: int, count: int, mbit: float) -> dict[str, int]:
    """Ask for ``count`` datagrams of ``PAYLOAD`` bytes at a rate; how many came."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SILENCE_S)
        sock.sendto(f"{count} {mbit}".encode(), (host, port))
        came = 0
        try:
            while came < count:
                sock.recv(2048)
                came += 1
        except TimeoutError:
            pass
        return {"came": came}


def echo(port: int) -> None:
    """Send whoever asks the datagrams, each in a thread of its own."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        sock.bind(("::", port))
        while True:
            asked, info, _, peer = sock.recvmsg(64, 256)
            words = asked.split()
            args = (sock, info, peer, int(words[0]), float(words[1]))
            threading.Thread(target=_stream, args=args, daemon=True).start()


def _stream(sock: socket.socket, info: list[tuple[int, int, bytes]], peer: object, count: int,
            mbit: float) -> None:  # fmt: skip
    """From the address that was asked (``IPV6_PKTINFO``), at the rate, in bursts of 1 ms."""
    data, gap = bytes(PAYLOAD), (PAYLOAD + 28) * 8 / (mbit * 1e6)
    began = time.monotonic()
    for number in range(count):
        if (ahead := began + number * gap - time.monotonic()) > 0.001:
            time.sleep(ahead)
        sock.sendmsg([data], info, 0, peer)  # type: ignore[arg-type]  # as recvmsg gave it


def hello() -> bytes:
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = TLS.wrap_bio(incoming, outgoing, server_hostname=NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def idle(host: str, port: int, count: int) -> None:
    """Open, greet, wait for the echo of one byte, stay until standard input ends."""
    first, held = hello(), []
    for _ in range(count):
        sock = socket.create_connection((host, port), TIMEOUT_S)
        sock.sendall(first)
        held.append(sock)
    for sock in held:
        if not sock.recv(1):
            raise SystemExit("an idle connection was closed")
    print(json.dumps({"open": len(held)}), flush=True)
    threading.Event().wait()


def hold(port: int) -> None:
    """Answer one byte to whoever connects, and keep the connection."""
    held = []
    with socket.create_server(("0.0.0.0", port), backlog=4096) as server:
        while True:
            sock, _ = server.accept()
            sock.sendall(b"!")
            held.append(sock)


def main(words: list[str]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    match words:
        case ["connections", host, port, count, at_once]:
            print(json.dumps(connections(host, int(port), int(count), int(at_once))))
        case ["paced", host, port, count, rate]:
            print(json.dumps(paced(host, int(port), int(count), float(rate))))
        case ["download", host, port, path, *flows]:
            print(json.dumps(download(host, int(port), path, *map(int, flows))))
        case ["busy", host, port, seconds]:
            print(json.dumps(busy(host, int(port), float(seconds))))
        case ["udp", host, port, count, mbit]:
            print(json.dumps(udp(host, int(port), int(count), float(mbit))))
        case ["echo", port]:
            echo(int(port))
        case ["idle", host, port, count]:
            idle(host, int(port), int(count))
        case ["hold", port]:
            hold(int(port))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
