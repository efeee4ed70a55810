import struct

import pytest

from tripgate.core.kernelreading import (
    Count,
    Items,
    Quota,
    ReadingError,
    less_arp,
    parse_links,
    parse_table,
    read_arp,
    read_counts,
)
from tripgate.core.setelements import Element

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0
  wan0: 1014000    1000    0    0    0     0          0         0    50140      10    0    0    0
wwan0:1000000    1000    0    0    0     0          0         0    50000      10    0    0    0
"""


def _counted(name: str, counts: dict[int, tuple[int, int]]) -> dict[str, object]:
    elements = [
        {"elem": {"val": key, "counter": {"packets": packets, "bytes": size}}}
        for key, (packets, size) in counts.items()
    ]
    return {"set": {"name": name, "elem": elements}}


def _table(**sets: dict[int, tuple[int, int]]) -> Items:
    plain = [{"set": {"name": name}} for name in ("spent", "owners", "uplinks")]
    maps = [{"map": {"name": "slots"}}, {"map": {"name": "grants", "elem": [[2, "s2"]]}}]
    names = ("up", "down", "forwarded", "links_up", "links_down")
    counted = [_counted(name, sets.get(name, {})) for name in names]
    return [{"metainfo": {}}, *plain, *maps, *counted]


def test_each_slot_has_both_directions() -> None:
    reading = parse_table(_table(up={2: (1, 100), 0: (1, 5)}, down={2: (3, 4000), 1: (1, 60)}))
    assert reading.slots == {0: Count(5, 0), 1: Count(0, 60), 2: Count(100, 4000)}


def test_a_quota_that_no_packet_is_held_to_is_told() -> None:
    quotas = [{"quota": {"name": name, "bytes": 10, "used": 4}} for name in ("s2", "s3")]
    assert parse_table([*_table(), *quotas]).quotas == {
        2: Quota(10, 4, asked=True),
        3: Quota(10, 4, asked=False),
    }


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"set": {"name": "up"}}],
        [*_table(), {"quota": {"name": "other", "bytes": 1, "used": 0}}],
        [*_table(), {"quota": {"name": "s2", "bytes": 1}}],
    ],
)
def test_another_answer_is_an_error(items: Items) -> None:
    with pytest.raises(ReadingError):
        parse_table(items)


def test_link_headers_are_taken_off_by_the_links_type() -> None:
    assert parse_links(NET_DEV, {"wan0": 1, "wwan0": 519}) == {
        "wan0": Count(50_000, 1_000_000),
        "wwan0": Count(50_000, 1_000_000),
    }


def test_an_interface_that_is_not_there_is_left_out() -> None:
    assert parse_links(NET_DEV, {"usb0": 1}) == {}


def test_arp_is_counted_without_the_header_it_has_on_the_way_out() -> None:
    up, down = (Element(b"wan0" + bytes(12), 2, 2 * size) for size in (42, 28))
    assert read_arp([up], [down]) == {"wan0": Count(56, 56)}


def test_sets_alone_say_what_the_table_says() -> None:
    def slots(*counts: tuple[int, int]) -> list[Element]:
        return [Element(struct.pack("=I", slot), 1, size) for slot, size in counts]

    names = {name: [Element(b"wan0" + bytes(12), 1, 9)] for name in ("links_up", "links_down")}
    sets = {"up": slots((2, 100)), "down": slots((2, 7), (1, 60)), "forwarded": slots((2, 50))}
    reading = read_counts({**sets, **names, "spent": slots((5, 0))})
    assert reading.slots == {1: Count(0, 60), 2: Count(100, 7)}
    assert (reading.forwarded, reading.spent) == ({2: 50}, {5})
    assert reading.links == {"wan0": Count(9, 9)}


def test_arp_is_nobodys() -> None:
    counts = {"wan0": Count(1000, 2000), "usb0": Count(1, 2)}
    assert less_arp(counts, {"wan0": Count(56, 28)}) == {
        "wan0": Count(944, 1972),
        "usb0": Count(1, 2),
    }


@pytest.mark.parametrize(
    "element", [Element(struct.pack("=I", 2)), Element(b"wan0\0", 1, 9)], ids=["count", "mark"]
)
def test_an_element_that_is_told_otherwise_is_an_error_and_not_nothing(element: Element) -> None:
    sets = {name: [] for name in ("down", "forwarded", "spent", "links_up", "links_down")}
    with pytest.raises(ReadingError):
        read_counts({**sets, "up": [element]})
