"""What payload costs on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.wirecost import WireCost

V4, V6 = WireCost.of(4), WireCost.of(6)
COSTS = st.sampled_from([V4, V6, WireCost.of(4, 1280), WireCost.of(6, 9000)])


@pytest.mark.parametrize(
    ("cost", "payload", "sent", "acknowledged"),
    [
        (V4, 1, 53, 52),
        (V4, 1448, 1500, 52),
        (V4, 1449, 1449 + 2 * 52, 52),
        (V4, 3 * 1448, 4500, 2 * 52),
        (V6, 1428, 1500, 72),
        (V4, 0, 0, 0),
    ],
    ids=["one byte", "a full segment", "two", "three", "IPv6", "nothing"],
)
def test_a_payload_costs_its_segments_and_their_acknowledgements(
    cost: WireCost, payload: int, sent: int, acknowledged: int
) -> None:
    assert (cost.sent(payload), cost.acknowledged(payload)) == (sent, acknowledged)


@given(COSTS, st.integers(0, 1 << 40))
def test_the_volume_is_both_directions(cost: WireCost, payload: int) -> None:
    assert cost.volume(payload) == cost.sent(payload) + cost.acknowledged(payload)


@given(COSTS, st.integers(0, 1 << 40))
def test_the_payload_of_a_volume_is_the_most_that_fits(cost: WireCost, volume: int) -> None:
    payload = cost.payload(volume)
    assert (payload == 0 or cost.volume(payload) <= volume) and cost.volume(payload + 1) > volume


def test_opening_and_closing_are_headers_only() -> None:
    assert (V4.opening, V4.closing, V4.least) == ((112, 60), (104, 104), 277)
