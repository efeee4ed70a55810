"""A control socket that answers as a gateway does, or as none should."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tripgate.statefolder import StateFolder

STATUS: dict[str, Any] = {
    "mode": "explicit",
    "version": "0.1.0",
    "ledger": "up",
    "clock": "trusted",
    "flows": 3,
    "devices": 2,
    "uplink": {"up": 1000, "down": 5_000_000, "unattributed": 0},
    "uptime_s": 93_784,
}


@contextmanager
def answering(state: Path, *answer: bytes, close: bool = True) -> Iterator[None]:
    """Whoever connects is sent ``answer``, piece by piece, and then the end (``close``)."""
    folder = StateFolder(state)
    folder.path.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(folder.control_socket))
        server.listen(8)
        thread = threading.Thread(target=_serve, args=(server, answer, close), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            folder.control_socket.unlink()


def _serve(server: socket.socket, answer: tuple[bytes, ...], close: bool) -> None:
    open_ones = []
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            break
        try:
            for piece in answer:
                connection.sendall(piece)
        except OSError:
            pass  # the asker had enough
        if close:
            connection.close()
        else:
            open_ones.append(connection)
    for connection in open_ones:
        connection.close()


@contextmanager
def gateway(state: Path, **changed: Any) -> Iterator[dict[str, Any]]:
    """A gateway that answers with ``STATUS``, some of it changed."""
    status = {**STATUS, **changed}
    with answering(state, json.dumps(status).encode()):
        yield status
