"""What is asked of nftables often, asked of the kernel itself: a set's elements, and the ruleset's
generation, a number that every transaction raises. As long as it stands nobody has changed
anything; what a packet does (an element, a count) and what runs out is no transaction.

Rules
1. The socket belongs to the network namespace of the thread that makes it.
2. A dump that a transaction interrupts is asked for again, ``TRIES`` times.
3. One question at a time: whoever uses it has a lock.
"""

import errno
import os
import socket
import struct

from tripgate.core.setelements import Element, parse_part

TRIES = 10
_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10 << 8
_GET_ELEMENTS, _GET_GENERATION, _NEW_GENERATION = (_SUBSYSTEM | kind for kind in (13, 16, 15))
_REQUEST, _DUMP = 1, 0x300
_TABLE, _SET = 1, 2
_GENERATION = 1
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_FAMILIES = {"inet": 1, "arp": 3}
_READ = 1 << 16
_WAIT_S = 1.0


class Asked:
    """Questions and answers. ``OSError``, also when an answer does not come or makes no sense."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.settimeout(_WAIT_S)
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def generation(self) -> int:
        """The number now."""
        self._ask(_GET_GENERATION, _REQUEST, 0, b"")
        while True:
            found = parse_generation(self._socket.recv(_READ), self._number)
            if found is not None:
                return found

    def elements(self, table: str, name: str) -> list[Element]:
        """All elements of the set, or map, ``name`` of ``table`` (``inet tripgate``)."""
        family, _, title = table.partition(" ")
        text = _text(_TABLE, title) + _text(_SET, name)
        for _ in range(TRIES):
            self._ask(_GET_ELEMENTS, _REQUEST | _DUMP, _FAMILIES[family], text)
            if (found := self._answer(f"{table} {name}")) is not None:
                return found
        raise OSError(errno.EINTR, f"{table} {name} changes faster than it can be read")

    def _answer(self, what: str) -> list[Element] | None:
        elements: list[Element] = []
        interrupted = False
        while True:
            try:
                part = parse_part(self._socket.recv(_READ), self._number)
            except ValueError as error:
                raise OSError(errno.EBADMSG, f"{what}: {error}") from error
            elements += part.elements
            interrupted = interrupted or part.interrupted or part.error == errno.EINTR
            if part.ended and interrupted:
                return None
            if part.error:
                raise OSError(part.error, f"{what}: {os.strerror(part.error)}")
            if part.ended:
                return elements

    def _ask(self, kind: int, flags: int, family: int, attributes: bytes) -> None:
        self._number += 1
        body = bytes((family, 0, 0, 0)) + attributes
        head = _MESSAGE.pack(_MESSAGE.size + len(body), kind, flags, self._number, 0)
        self._socket.sendto(head + body, (0, 0))


def parse_generation(data: bytes, asked: int) -> int | None:
    """The number in the answer to the request ``asked``; ``None`` in another's. ``OSError`` when
    it is none."""
    if len(data) < _MESSAGE.size:
        return None
    _, kind, _, number, _ = _MESSAGE.unpack_from(data)
    if number != asked:
        return None
    at = _MESSAGE.size + 4
    while kind == _NEW_GENERATION and len(data) >= at + _ATTRIBUTE.size:
        length, attribute = _ATTRIBUTE.unpack_from(data, at)
        if attribute == _GENERATION and length == 8:
            return int.from_bytes(data[at + 4 : at + 8], "big")
        at += max(length, _ATTRIBUTE.size) + 3 & ~3
    raise OSError(errno.EBADMSG, "nftables does not tell its generation")


def _text(kind: int, text: str) -> bytes:
    value = text.encode() + b"\0"
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)
