"""The server name of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3).

Rules
1. The handshake message is gathered from TLS records first (RFC 8446 section 5.1); at most
   ``MAX_RECORDS`` records and ``MAX_BYTES`` bytes, each looked at once.
2. Only lengths are believed that fit into what encloses them. What does not parse has no name.
"""

MAX_BYTES = 64 * 1024
MAX_RECORDS = 32

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0


class Malformed(Exception):
    """Not a ClientHello, or not within the bounds."""


class Gatherer:
    """Collects the records of the first handshake message from any split of the stream."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._records = 0
        self._message = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """The ClientHello's body once it is complete. Raises :class:`Malformed`."""
        at = 0
        while at < len(data):
            if self._left == 0:
                at = self._read_head(data, at)
            taken = data[at : at + self._left]
            self._message += taken
            self._left -= len(taken)
            at += len(taken)
            if len(self._message) > MAX_BYTES:
                raise Malformed("too long")
            if (body := self._complete()) is not None:
                return body
        return None

    def _read_head(self, data: bytes, at: int) -> int:
        wanted = 5 - len(self._head)
        self._head += data[at : at + wanted]
        if len(self._head) == 5:
            kind, major, self._left = self._head[0], self._head[1], int.from_bytes(self._head[3:])
            self._records += 1
            if kind != _HANDSHAKE or major != 3 or not self._left or self._records > MAX_RECORDS:
                raise Malformed("not a handshake record")
            self._head.clear()
        return at + min(wanted, len(data) - at)

    def _complete(self) -> bytes | None:
        message = self._message
        if message and message[0] != _CLIENT_HELLO:
            raise Malformed("not a ClientHello")
        if len(message) < 4:
            return None
        length = int.from_bytes(message[1:4])
        if length > MAX_BYTES:
            raise Malformed("too long")
        return bytes(message[4 : 4 + length]) if len(message) >= 4 + length else None


class _Cursor:
    """Reads length-prefixed fields; every step is checked."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise Malformed("truncated")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def more(self) -> bool:
        return self._at < len(self._data)


def server_name(body: bytes) -> bytes | None:
    """The host name asked for, raw; ``None`` if there is none. Raises :class:`Malformed`."""
    hello = _Cursor(body)
    hello.take(2 + 32)  # legacy_version, random
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    if not hello.more:
        return None
    extensions = _Cursor(hello.vector(2))
    while extensions.more:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            return _host_name(content)
    return None


def _host_name(content: bytes) -> bytes | None:
    names = _Cursor(_Cursor(content).vector(2))
    while names.more:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return name
    return None
