"""The ruleset's generation, as the kernel tells it."""

import struct

import pytest

from tripgate.kernel.nftasked import parse_generation

NEWGEN = 10 << 8 | 15


def _message(kind: int, number: int, attributes: bytes) -> bytes:
    body = bytes(4) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, 0, number, 0) + body


ANSWER = struct.pack("=HH", 8, 2) + bytes(4) + struct.pack("=HH", 8, 1) + (9).to_bytes(4, "big")


def test_the_answer_has_the_number() -> None:
    assert parse_generation(_message(NEWGEN, 3, ANSWER), 3) == 9


def test_another_requests_answer_is_passed_over() -> None:
    assert parse_generation(_message(NEWGEN, 2, ANSWER), 3) is None


@pytest.mark.parametrize("data", [_message(NEWGEN, 3, b""), _message(2, 3, bytes(16))])
def test_no_number_is_an_error(data: bytes) -> None:
    with pytest.raises(OSError, match="generation"):
        parse_generation(data, 3)
