"""The elements of a set of nftables, out of the kernel's own messages (``NFT_MSG_GETSETELEM``).

The library takes a third of a millisecond a set, to fetch what is around it and to write and read
text; the messages are a few attributes (linux/netfilter/nf_tables.h), one within the other.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

ERROR, DONE = 2, 3
NEW_ELEMENTS = 10 << 8 | 12
_INTERRUPTED = 0x10
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_FAMILY_HEADER = 4
_KIND = 0x3FFF  # less NLA_F_NESTED and NLA_F_NET_BYTEORDER
_ELEMENTS = 3  # NFTA_SET_ELEM_LIST_ELEMENTS
_KEY, _EXPRESSION, _EXPRESSIONS = 1, 7, 11  # NFTA_SET_ELEM_*
_NAME, _DATA = 1, 2  # NFTA_EXPR_*
_BYTES, _PACKETS = 1, 2  # NFTA_COUNTER_*
_COUNTER = b"counter\0"


class Element(NamedTuple):
    """``key`` as it is in the kernel. ``bytes`` is ``None`` where it has no counter."""

    key: bytes
    packets: int = 0
    bytes: int | None = None


class Part(NamedTuple):
    """What one buffer of a dump says. ``error``: an errno; ``interrupted``: the ruleset changed
    meanwhile, and the dump is worth nothing."""

    elements: list[Element]
    ended: bool = False
    error: int = 0
    interrupted: bool = False


def parse_part(data: bytes, asked: int) -> Part:
    """The answer to the request ``asked``; other messages are passed over. ``ValueError``."""
    elements: list[Element] = []
    at, ended, error, interrupted = 0, False, 0, False
    try:
        while at + _MESSAGE.size <= len(data):
            length, kind, flags, number, _ = _MESSAGE.unpack_from(data, at)
            if not _MESSAGE.size <= length <= len(data) - at:
                raise ValueError("a message of nftables is cut")
            if number == asked:
                interrupted = interrupted or bool(flags & _INTERRUPTED)
                if kind == NEW_ELEMENTS:
                    body = at + _MESSAGE.size + _FAMILY_HEADER
                    elements += _elements(data, body, at + length)
                elif kind in (ERROR, DONE):
                    ended, error = True, -_CODE.unpack_from(data, at + _MESSAGE.size)[0]
            at += length + 3 & ~3
    except struct.error as cut:
        raise ValueError(f"a message of nftables is cut: {cut}") from cut
    return Part(elements, ended, error, interrupted)


def _elements(data: bytes, at: int, end: int) -> Iterator[Element]:
    for kind, start, stop in _attributes(data, at, end):
        if kind == _ELEMENTS:
            for _, first, last in _attributes(data, start, stop):
                yield _element(data, first, last)


def _element(data: bytes, at: int, end: int) -> Element:
    key, counts = b"", None
    for kind, start, stop in _attributes(data, at, end):
        if kind == _KEY:
            key = data[start + _ATTRIBUTE.size : stop]  # within it NFTA_DATA_VALUE alone
        elif kind == _EXPRESSION:
            counts = _counter(data, start, stop) or counts
        elif kind == _EXPRESSIONS:
            for _, first, last in _attributes(data, start, stop):
                counts = _counter(data, first, last) or counts
    return Element(key, *(counts or ()))


def _counter(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    found = {kind: (start, stop) for kind, start, stop in _attributes(data, at, end)}
    start, stop = found.get(_NAME, (at, at))
    if data[start:stop] != _COUNTER or _DATA not in found:
        return None
    counts = {
        kind: int.from_bytes(data[first:last], "big")
        for kind, first, last in _attributes(data, *found[_DATA])
    }
    return (counts[_PACKETS], counts[_BYTES]) if {_PACKETS, _BYTES} <= counts.keys() else None


def _attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Kind, begin and end of the contents of each."""
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= end - at:
            raise ValueError("an attribute of nftables is cut")
        yield kind & _KIND, at + _ATTRIBUTE.size, at + length
        at += length + 3 & ~3
