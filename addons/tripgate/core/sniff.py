"""The name in the first bytes of a connection: TLS server name, else HTTP Host.

Rules
1. Any split of the same bytes gives the same answer; every byte is looked at a bounded number of
   times.
2. At most ``MAX_HEAD`` bytes of an HTTP head are kept, and 64 KiB of a ClientHello.
3. What is neither is given up at once; nothing raises.
"""

import functools
import re

from tripgate.core import address, names
from tripgate.core.clienthello import Gatherer, Malformed, server_name, whole

MAX_HEAD = 16 * 1024

_TLS_HANDSHAKE = 22
_END = re.compile(rb"\r?\n\r?\n")
_HOST = re.compile(rb"\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n]*?)[ \t]*\r?(?=\n)")
_REQUEST = re.compile(rb"[A-Z]{3,16} [^ \r\n]+ HTTP/1\.[01]\r?\n")
_METHOD = re.compile(rb"[A-Z]{1,16}( |$)")


class Sniffer:
    """Feed it what the client sends until it is done."""

    def __init__(self) -> None:
        self.done = False
        self.name: str | None = None
        self.http = False
        """The first bytes are a request of HTTP/1."""
        self._tls: Gatherer | None = None
        self._head: bytearray | None = None
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Look at the next bytes of the client."""
        if self.done or not data:
            return
        if self._tls is None and self._head is None:
            if (body := whole(data)) is not None:
                self._finish_tls(body)
                return
            if data[0] == _TLS_HANDSHAKE:
                self._tls = Gatherer()
            else:
                self._head = bytearray()
        if self._tls is not None:
            self._feed_tls(self._tls, data)
        elif self._head is not None:
            self._feed_http(self._head, data)

    def _feed_tls(self, gatherer: Gatherer, data: bytes) -> None:
        try:
            body = gatherer.feed(data)
        except Malformed:
            self._finish(None)
        else:
            if body is not None:
                self._finish_tls(body)

    def _finish_tls(self, body: bytes) -> None:
        try:
            self._finish(server_name(body))
        except Malformed:
            self._finish(None)

    def _feed_http(self, head: bytearray, data: bytes) -> None:
        head += data[: MAX_HEAD - len(head)]
        if len(head) <= 64 and not _METHOD.match(head[:17]):
            self._finish(None)
        elif end := _END.search(head, max(0, self._searched - 3)):
            lines = bytes(head[: end.end()])
            self.http = _REQUEST.match(lines) is not None
            found = _HOST.search(lines) if self.http else None
            self._finish(_without_port(found[1]) if found else None)
        elif len(head) >= MAX_HEAD:
            self._finish(None)
        self._searched = len(head)

    def _finish(self, raw: bytes | None) -> None:
        self.done = True
        self._tls = self._head = None
        self.name = _clean(raw) if raw and len(raw) <= names.HOST_MAX + 1 else None


@functools.lru_cache(1024)  # connections come in bunches, to the same names
def _clean(raw: bytes) -> str | None:
    name = names.clean_host(raw)
    return name if name and not address.is_literal(name) else None


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host
