"""The server name of a TLS ClientHello, whatever splits or spoils it."""

import contextlib
import ssl
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.clienthello import (
    MAX_BYTES,
    MAX_RECORDS,
    Gatherer,
    Malformed,
    server_name,
    whole,
)


def real_hello(name: str | None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = real_hello("shop.example")


def records(message: bytes, size: int) -> bytes:
    """The same handshake message in records of ``size`` bytes."""
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts)


def name_of(*pieces: bytes) -> bytes | None:
    gatherer = Gatherer()
    for piece in pieces:
        if (body := gatherer.feed(piece)) is not None:
            return server_name(body)
    raise AssertionError("it is not complete")


def test_the_name_is_found_in_a_real_hello() -> None:
    assert name_of(HELLO) == b"shop.example"


def test_a_hello_without_a_name_has_none() -> None:
    assert name_of(real_hello(None)) is None


@given(st.lists(st.integers(1, len(HELLO) - 1), max_size=20))
def test_any_split_of_the_stream_gives_the_same_name(cuts: list[int]) -> None:
    ends = sorted({0, *cuts, len(HELLO)})
    pieces = [HELLO[a:b] for a, b in pairwise(ends)]
    assert name_of(*pieces) == b"shop.example"


def test_a_hello_in_several_records_is_gathered() -> None:
    size = len(HELLO[5:]) // (MAX_RECORDS - 1)
    assert name_of(records(HELLO[5:], size)) == b"shop.example"


def test_more_records_than_the_bound_are_refused() -> None:
    with pytest.raises(Malformed):
        Gatherer().feed(records(HELLO[5:], 1))


@pytest.mark.parametrize(
    "data",
    [
        *(b"GET / HTTP/1.1\r\n", b"\x17\x03\x01\x00\x05hello", b"\x16\x02\x00\x00\x05hello"),
        *(b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"),
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    ],
    ids=["HTTP", "no handshake", "SSL 2", "empty record", "ServerHello", "too long a message"],
)
def test_what_is_no_client_hello_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(Malformed):
        Gatherer().feed(data)


def test_no_more_is_kept_than_the_bound() -> None:
    gatherer = Gatherer()
    start = b"\x16\x03\x01\xff\xff\x01" + MAX_BYTES.to_bytes(3)
    assert gatherer.feed(start + bytes(65_531)) is None
    with pytest.raises(Malformed):
        gatherer.feed(b"\x16\x03\x01\xff\xff" + bytes(65_535))


@given(st.integers(0, len(HELLO) - 10), st.binary(min_size=1, max_size=4))
def test_a_spoiled_hello_gives_a_name_none_or_malformed(at: int, spoil: bytes) -> None:
    body = bytearray(HELLO[9:])
    body[at : at + len(spoil)] = spoil
    try:
        name = server_name(bytes(body))
    except Malformed:
        return
    assert name is None or len(name) < len(body)


@given(st.integers(0, len(HELLO) - 10))
def test_a_body_that_is_cut_short_never_raises_anything_else(end: int) -> None:
    with contextlib.suppress(Malformed):
        server_name(HELLO[9 : 9 + end])


def test_each_byte_is_looked_at_once() -> None:
    class Counting(bytes):
        read = 0

        def __getitem__(self, key):  # type: ignore[no-untyped-def, override]
            found = super().__getitem__(key)
            Counting.read += len(found) if isinstance(found, bytes) else 1
            return found

    gatherer = Gatherer()
    message = b"\x01" + (60_000).to_bytes(3) + bytes(50_000)
    for byte in records(message, 25_000):
        gatherer.feed(Counting(bytes([byte])))
    assert Counting.read < 3 * len(message)


@given(st.integers(1, len(HELLO) - 5), st.integers(0, 60))
def test_a_hello_in_one_record_is_found_whole_and_no_other(size: int, more: int) -> None:
    message = HELLO[5:]
    sent = records(message, size) + bytes(more)
    in_one = size >= len(message)
    assert (whole(sent) is not None) is in_one
    assert whole(HELLO[:size]) is None
    if in_one:
        assert whole(sent) == Gatherer().feed(HELLO)


@given(st.binary(max_size=40))
def test_whatever_looks_whole_is_what_the_gatherer_finds(rest: bytes) -> None:
    data = b"\x16\x03\x01" + rest
    body = whole(data)
    if body is not None:
        assert Gatherer().feed(data) == body
