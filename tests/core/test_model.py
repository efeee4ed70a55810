"""What a cap's state says of it."""

import pytest

from tripgate.core.model import PACKET, PLAN, Cap, CapState, Period


@pytest.mark.parametrize(
    ("limit", "used", "spent"),
    [
        (10_000, 0, False),
        (10_000, 10_000 - PACKET, False),
        (10_000, 10_001 - PACKET, True),
        (10_000, 10_000, True),
        (10_000, 12_000, True),
        (1000, 0, False),
        (1000, 1, True),
        (0, 0, True),
    ],
)
def test_a_cap_is_reached_when_no_full_packet_fits(limit: int, used: int, spent: bool) -> None:
    cap = Cap(PLAN, Period.DAY, limit)
    assert CapState(cap, used, 0, None).spent is spent
