"""What the kernel's events are read as; the watch itself is tested in the lab."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tripgate.kernel.watch import transactions

NEWGEN = 10 << 8 | 15
NEWRULE = 10 << 8 | 6


def _message(kind: int, *attributes: tuple[int, bytes]) -> bytes:
    body = bytes(4)
    for number, value in attributes:
        body += struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def _end(task: int) -> bytes:
    name = (3, b"nft\0")
    return _message(NEWGEN, (1, (9).to_bytes(4, "big")), (2, task.to_bytes(4, "big")), name)


def test_a_transactions_end_tells_its_task() -> None:
    data = _message(NEWRULE, (1, b"tripgate\0")) + _end(4711) + _end(4712)
    assert list(transactions(data)) == [4711, 4712]


def test_an_end_without_a_task_is_nobodys() -> None:
    assert list(transactions(_message(NEWGEN))) == [0]


def test_a_change_in_the_middle_is_no_end() -> None:
    assert list(transactions(_message(NEWRULE, (2, bytes(4))))) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_their_end(data: bytes) -> None:
    assert len(list(transactions(_end(1) + data))) >= 1
