"""Origin servers of the tests, which know from their own kernel what crossed the wire.

Each accepted connection is kept as a ``Seen``: the socket's ``tcp_info`` after the conversation,
``acked`` (bytes the proxy's kernel acknowledged) and ``received``. That is the truth the meter is
held against; what ``send`` returned is not (kernel buffers hold megabytes).
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Conversation = Callable[[socket.socket], None]

SETTLE_S = 5.0

SEGMENT = 1448
"""An Ethernet path's. Loopback's of 64 KiB is met nowhere else: with it a window below a segment
is only ever filled by the sender's probes, five times a second."""


@dataclass
class Seen:
    """One connection as the origin's kernel saw it (bytes; FIN and SYN not counted)."""

    acked: int = 0
    received: int = 0

    @property
    def total(self) -> int:
        return self.acked + self.received


@dataclass
class Origin:
    """A TCP server whose conversations run in threads."""

    port: int
    host: str = "127.0.0.1"
    seen: list[Seen] = field(default_factory=list)
    live: list[socket.socket] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def total(self) -> int:
        """All bytes of all finished and live connections."""
        return sum(seen.total for seen in self.settled())

    def settled(self, connections: int | None = None) -> list[Seen]:
        """Wait until the connections are over, then what was seen."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            if not self.live and (connections is None or len(self.seen) >= connections):
                break
            time.sleep(0.02)
        return list(self.seen)


def tcp_counts(sock: socket.socket) -> tuple[int, int, int, int]:
    """State, bytes acknowledged by the peer, bytes received, bytes not yet acknowledged."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    acked, received = struct.unpack_from("<QQ", raw, 120)
    unacked = struct.unpack_from("<I", raw, 24)[0]
    return raw[0], acked, received, unacked


def observe(sock: socket.socket) -> Seen:
    """Wait until nothing moves any more on a socket that was shut down, then read its counts."""
    last, quiet = None, 0
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline and quiet < 3:
        counts = tcp_counts(sock)
        quiet = quiet + 1 if counts == last else 0
        last = counts
        time.sleep(0.02)
    state, acked, received, _ = tcp_counts(sock)
    return Seen(acked, received)


@contextlib.contextmanager
def origin(
    talk: Conversation,
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    window: int | None = None,
) -> Iterator[Origin]:
    """Serve ``talk`` on a port of its own until the block ends. Clients may send ``window`` bytes
    ahead; ``None``: as many as the kernel likes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=256)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    if window is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window // 2)  # it doubles
    server = Origin(listener.getsockname()[1], host)
    stop = threading.Event()

    def serve(raw: socket.socket) -> None:
        # The duplicate keeps the kernel's socket, and its counts, beyond the conversation's close.
        kept = raw.dup()
        server.live.append(kept)
        try:
            sock: socket.socket = tls.wrap_socket(raw, server_side=True) if tls else raw
            with sock:
                talk(sock)
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
        except (OSError, EOFError):
            pass
        except BaseException as error:
            server.errors.append(error)
        finally:
            with contextlib.suppress(OSError):
                server.seen.append(observe(kept))
            server.live.remove(kept)
            kept.close()

    def accept() -> None:
        while not stop.is_set():
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)
        for sock in list(server.live):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


# -- conversations -----------------------------------------------------------------------------

PATTERN = bytes(range(256)) * 256


def read_head(sock: socket.socket, pending: bytearray) -> tuple[str, str, dict[str, str]]:
    """One HTTP/1 request head; raises ``EOFError`` when the client is gone."""
    while b"\r\n\r\n" not in pending:
        data = sock.recv(65536)
        if not data:
            raise EOFError
        pending += data
    head, _, rest = bytes(pending).partition(b"\r\n\r\n")
    pending[:] = rest
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return method, path, headers


def read_exactly(sock: socket.socket, pending: bytearray, volume: int) -> None:
    """Read and drop ``volume`` bytes."""
    while volume:
        if not pending:
            data = sock.recv(min(volume, 65536))
            if not data:
                raise EOFError
            pending += data
        taken = min(volume, len(pending))
        del pending[:taken]
        volume -= taken


def read_chunked(sock: socket.socket, pending: bytearray) -> int:
    """Read a chunked body; returns its volume."""
    total = 0
    while True:
        while b"\r\n" not in pending:
            data = sock.recv(65536)
            if not data:
                raise EOFError
            pending += data
        line, _, rest = bytes(pending).partition(b"\r\n")
        pending[:] = rest
        size = int(line.split(b";")[0], 16)
        read_exactly(sock, pending, size + 2)
        total += size
        if not size:
            return total


def send_volume(sock: socket.socket, volume: int) -> None:
    """Send ``volume`` bytes of a pattern."""
    while volume:
        volume -= sock.send(PATTERN[: min(volume, len(PATTERN))])


def http_talk(sock: socket.socket) -> None:
    """HTTP/1.1 with keep-alive: ``/N`` gives N bytes, ``/chunked/N`` the same in chunks, POST and
    PUT read any body; ``/until-close/N`` has no length; ``/reset/N`` resets after N bytes."""
    pending = bytearray()
    while True:
        method, path, headers = read_head(sock, pending)
        got = 0
        if headers.get("transfer-encoding", "").lower() == "chunked":
            got = read_chunked(sock, pending)
        elif "content-length" in headers:
            got = int(headers["content-length"])
            read_exactly(sock, pending, got)
        kind, _, number = path.strip("/").rpartition("/")
        volume = int(number) if number.isdigit() else 0
        if method in ("POST", "PUT"):
            body = str(got).encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif kind == "until-close":
            sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            send_volume(sock, volume)
            return
        elif kind == "reset":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (volume * 2))
            send_volume(sock, volume)
            time.sleep(0.3)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionResetError  # its last descriptor is closed without a FIN
        elif kind == "chunked":
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while volume:
                size = min(volume, 50_000)
                sock.sendall(b"%x\r\n%s\r\n" % (size, PATTERN[:size]))
                volume -= size
            sock.sendall(b"0\r\n\r\n")
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % volume)
            if method != "HEAD":
                send_volume(sock, volume)


def echo_talk(sock: socket.socket) -> None:
    """Give back whatever comes."""
    while data := sock.recv(65536):
        sock.sendall(data)
