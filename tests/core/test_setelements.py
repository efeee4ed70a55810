"""What the kernel's messages are read as; that it sends them so is tested in the lab."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.setelements import DONE, ERROR, NEW_ELEMENTS, Element, parse_part

ASKED = 7
NESTED = 0x8000


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _message(kind: int, body: bytes, flags: int = 0, number: int = ASKED) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


def _counter(packets: int, size: int) -> bytes:
    counts = _attribute(1, size.to_bytes(8, "big")) + _attribute(2, packets.to_bytes(8, "big"))
    return _attribute(1, b"counter\0") + _attribute(2 | NESTED, counts)


def _elements(*elements: bytes, flags: int = 0, number: int = ASKED) -> bytes:
    listed = b"".join(_attribute(1 | NESTED, element) for element in elements)
    return _message(NEW_ELEMENTS, bytes(4) + _attribute(3 | NESTED, listed), flags, number)


def _key(key: bytes) -> bytes:
    return _attribute(1 | NESTED, _attribute(1, key))


ONE = _key(b"abcd") + _attribute(7 | NESTED, _counter(3, 1 << 40))
SEVERAL = _key(b"efgh") + _attribute(
    11 | NESTED,
    _attribute(1, _attribute(1, b"last\0")) + _attribute(1, _counter(1, 9)),
)
END = _message(DONE, bytes(4))


def test_an_element_has_its_key_and_its_counter() -> None:
    part = parse_part(_elements(ONE, SEVERAL) + END, ASKED)
    assert part.elements == [Element(b"abcd", 3, 1 << 40), Element(b"efgh", 1, 9)]
    assert (part.ended, part.error, part.interrupted) == (True, 0, False)


def test_an_element_without_a_counter_has_counted_nothing() -> None:
    assert parse_part(_elements(_key(b"abcd")), ASKED).elements == [Element(b"abcd")]


def test_another_requests_answer_is_passed_over() -> None:
    assert parse_part(_elements(ONE, number=6), ASKED) == ([], False, 0, False)


def test_an_interrupted_dump_is_told() -> None:
    assert parse_part(_elements(ONE, flags=0x10), ASKED).interrupted


def test_an_error_ends_it() -> None:
    part = parse_part(_message(ERROR, struct.pack("=i", -2) + bytes(16)), ASKED)
    assert (part.ended, part.error) == (True, 2)


def test_what_is_cut_is_an_error() -> None:
    with pytest.raises(ValueError, match="cut"):
        parse_part(_elements(ONE)[:-8], ASKED)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_part(_message(NEW_ELEMENTS, data), ASKED)
