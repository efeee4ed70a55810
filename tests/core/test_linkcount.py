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
        pytest.param([(100, 90, 1), (30, 190, 1)], 100, id="it began anew between two looks"),
        pytest.param([(100, 90, 1), (30, 100, 1)], 30, id="it counted more than the rules since"),
        pytest.param(
            [(100, 90, 1), (250, 590, 2)], 500, id="it began anew and counts more than before"
        ),
        pytest.param([(100, 90, 1), (None, 160, 1)], 70, id="it is gone for good"),
        pytest.param(
            [(100, 90, 1), (None, 160, 1), (None, 160, 1), (40, 190, 1)], 110, id="it came back"
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


def test_one_direction_that_fell_tells_of_both() -> None:
    before = LinkCount.first(Volume(100, 100), Volume(100, 100), 1)
    assert before.read(Volume(10, 500), Volume(150, 700), 1).total == Volume(150, 700)
