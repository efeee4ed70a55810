"""An uplink's bytes are counted once, over all lives of its interface."""

import pytest

from tripgate.core.counts import Volume
from tripgate.core.linkcount import LinkCount

Look = tuple[int | None, int, int]
"""The interface's own counter and the rules', both downwards; its index."""


def counted(*looks: Look) -> int:
    """Bytes since the first look."""
    (own, passed, life), *rest = looks
    assert own is not None
    first = count = LinkCount.first(Volume(0, own), Volume(0, passed), life)
    for own, passed, life in rest:
        count = count.read(None if own is None else Volume(0, own), Volume(0, passed), life)
    return (count.total - first.total).down


@pytest.mark.parametrize(
    ("looks", "bytes_"),
    [
        pytest.param([(100, 90, 1), (350, 300, 1)], 250, id="the interface has every packet"),
        pytest.param(
            [(9_000, 90, 1), (30, 190, 1)], 100, id="its counter began anew between two looks"
        ),
        pytest.param([(9_000, 90, 1), (30, 100, 1)], 30, id="it counted more than the rules since"),
        pytest.param(
            [(9_000, 90, 1), (8_972, 90, 1), (9_100, 190, 1)], 100, id="an ARP packet was ahead"
        ),
        pytest.param(
            [(100, 90, 1), (250, 590, 2)], 500, id="it began anew and counts more than before"
        ),
        pytest.param([(100, 90, 1), (None, 160, 1)], 70, id="it is gone for good"),
        pytest.param(
            [(100, 90, 1), (None, 160, 1), (None, 160, 1), (40, 190, 2)], 110, id="it came back"
        ),
        pytest.param(
            [(100, 90, 1), (None, 160, 1), (250, 190, 1)], 150, id="it was not seen for a moment"
        ),
        pytest.param(
            [(100, 90, 1), (None, 90, 1), (250, 90, 1)], 150, id="it was not in use meanwhile"
        ),
        pytest.param([(100, 90, 1), (150, 20, 1)], 50, id="the rules were made anew"),
    ],
)
def test_every_byte_is_counted_once(looks: list[Look], bytes_: int) -> None:
    assert counted(*looks) == bytes_


def test_a_direction_that_did_not_fall_counts_what_it_has_grown() -> None:
    before = LinkCount.first(Volume(9_000, 100), Volume(100, 100), 1)
    assert (before.read(Volume(10, 500), Volume(150, 120), 1).total - before.total) == Volume(
        50, 400
    )


def test_what_an_interface_has_counted_before_it_was_an_uplink_is_not_counted() -> None:
    first = LinkCount.first(Volume(7, 9_000), Volume(0, 0), 1, young=False)
    assert first.total == Volume(0, 0)
    assert first.read(Volume(9, 9_500), Volume(2, 500), 1).total == Volume(2, 500)
