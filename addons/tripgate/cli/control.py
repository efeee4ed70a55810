"""Asking the live gateway: connect to its control socket, read one JSON document to the end.

Rules
1. The answer is capped at 1 MiB and 2 s; anything else than one JSON object is no answer.
2. No gateway is an ordinary outcome for most commands: ``ask`` says so with ``None``.
"""

import json
import socket
import time
from pathlib import Path
from typing import Any

ANSWER_MOST = 1024 * 1024
ANSWER_S = 2.0


def ask(path: Path) -> dict[str, Any] | None:
    """The ``status`` document of the gateway that listens at ``path``; None when there is none."""
    try:
        answer = _read(path)
        document = json.loads(answer)
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _read(path: Path) -> bytes:
    """All bytes up to the end of the stream; ``OSError`` past the caps."""
    deadline = time.monotonic() + ANSWER_S
    answer = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(path))
        while len(answer) <= ANSWER_MOST:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = connection.recv(65536)
            if not chunk:
                return bytes(answer)
            answer += chunk
    raise OSError("the answer is too long")
