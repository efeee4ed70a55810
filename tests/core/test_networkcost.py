"""The Network Cost element."""

import pytest

from tripgate.core.networkcost import element


@pytest.mark.parametrize(
    ("used", "volume", "metered", "cost", "flags"),
    [
        (0, 1000, True, "02", "00"),
        (799, 1000, True, "02", "00"),
        (800, 1000, True, "02", "08"),
        (999, 1000, True, "02", "08"),
        (1000, 1000, True, "02", "01"),
        (2000, 1000, True, "02", "01"),
        (10**15, None, True, "02", "00"),
        (0, 0, True, "02", "01"),
        (2000, 1000, False, "01", "00"),
    ],
)
def test_its_flags_follow_the_plan(
    used: int, volume: int | None, metered: bool, cost: str, flags: str
) -> None:
    assert element(used, volume, metered=metered) == f"dd080050f211{cost}00{flags}00"
