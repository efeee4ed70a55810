"""The name in the first bytes: TLS, HTTP, or neither."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_clienthello import HELLO
from tripgate.core.sniff import MAX_HEAD, Sniffer

REQUEST = b"GET /a?b HTTP/1.1\r\nAccept: */*\r\nHost: Shop.Example:8080\r\n\r\n"


def sniffed(*pieces: bytes) -> Sniffer:
    sniffer = Sniffer()
    for piece in pieces:
        sniffer.feed(piece)
    return sniffer


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (HELLO, "shop.example"),
        (REQUEST, "shop.example"),
        (REQUEST.replace(b"\r\n", b"\n"), "shop.example"),
        (REQUEST.replace(b"Host", b"hOST"), "shop.example"),
        (REQUEST.replace(b":8080", b""), "shop.example"),
        (b"POST / HTTP/1.0\r\nHost:a.example\r\n\r\nHost: body.example\r\n\r\n", "a.example"),
    ],
    ids=["TLS", "HTTP", "bare LF", "any case", "no port", "not the body"],
)
def test_the_name_is_found(data: bytes, name: str) -> None:
    assert sniffed(data).name == name


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\x00\x01\x02",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x16\x00\x00\x00\x00",
            b"get / HTTP/1.1\r\n",
        ),
        *(b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", b" GET / "),
        *(b"GET / HTTP/1.1\r\nHost: <b>\r\n\r\n", b"GET / HTTP/1.1\r\nX-Host: a.example\r\n\r\n"),
        b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    ],
)
def test_what_has_no_name_is_given_up(data: bytes) -> None:
    sniffer = sniffed(data)
    assert (sniffer.done, sniffer.name) == (True, None)


@pytest.mark.parametrize("data", [HELLO, REQUEST], ids=["TLS", "HTTP"])
def test_half_of_it_is_not_given_up(data: bytes) -> None:
    assert not sniffed(data[: len(data) // 2]).done


@given(st.sampled_from([HELLO, REQUEST]), st.lists(st.integers(1, 300), max_size=30))
def test_any_split_gives_the_same_name(data: bytes, cuts: list[int]) -> None:
    ends = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    assert sniffed(*(data[a:b] for a, b in pairwise(ends))).name == "shop.example"


def test_endless_headers_are_given_up_at_the_bound() -> None:
    sniffer = sniffed(b"GET / HTTP/1.1\r\n", *[b"X: " + b"a" * 1000 + b"\r\n"] * 20)
    assert (sniffer.done, sniffer.name) == (True, None)
    assert MAX_HEAD < 20 * 1005


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_make_it_raise(first: bytes, second: bytes) -> None:
    sniffed(first, second)
