"""The server name of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3).

Rules
1. The handshake message is gathered from TLS records first (RFC 8446 section 5.1); at most
   ``MAX_RECORDS`` records and ``MAX_BYTES`` bytes, each looked at once.
2. Only lengths are believed that fit into what encloses them. What does not parse has no name.
"""

import struct

MAX_BYTES = 64 * 1024
MAX_RECORDS = 32

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0

_LENGTH = struct.Struct(">H").unpack_from
_EXTENSION = struct.Struct(">HH").unpack_from
_NAME = struct.Struct(">BH").unpack_from


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


def whole(data: bytes) -> bytes | None:
    """The ClientHello's body, if ``data`` begins with a record that holds all of it, as nearly
    every client sends it; ``None``: it has to be gathered."""
    if len(data) < 9 or data[0] != _HANDSHAKE or data[1] != 3 or data[5] != _CLIENT_HELLO:
        return None
    record, length = _LENGTH(data, 3)[0], int.from_bytes(data[6:9])
    fits = length + 4 <= record and record + 5 <= len(data)
    return data[9 : 9 + length] if fits else None


def server_name(body: bytes) -> bytes | None:
    """The host name asked for, raw; ``None`` if there is none. Raises :class:`Malformed`."""
    try:
        at = 2 + 32  # legacy_version, random
        at += 1 + body[at]  # legacy_session_id
        at += 2 + _LENGTH(body, at)[0]  # cipher_suites
        at += 1 + body[at]  # legacy_compression_methods
        return _extension(body, at) if at != len(body) else None
    except (IndexError, struct.error) as error:
        raise Malformed("truncated") from error


def _extension(body: bytes, at: int) -> bytes | None:
    end = at + 2 + _LENGTH(body, at)[0]
    at += 2
    _within(end, len(body))
    while at < end:
        kind, size = _EXTENSION(body, at)
        at += 4
        _within(at + size, end)
        if kind == _SERVER_NAME:
            return _host_name(body[at : at + size])
        at += size
    return None


def _host_name(content: bytes) -> bytes | None:
    at, end = 2, 2 + _LENGTH(content, 0)[0]
    _within(end, len(content))
    while at < end:
        kind, size = _NAME(content, at)
        at += 3
        _within(at + size, end)
        if kind == _HOST_NAME:
            return content[at : at + size]
        at += size
    return None


def _within(at: int, end: int) -> None:
    if at > end:
        raise Malformed("truncated")
