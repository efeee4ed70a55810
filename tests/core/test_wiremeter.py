"""The meter of router mode: L3 bytes, in both directions, never more than there is."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.paying import Paying
from tripgate.core.lease import Budget
from tripgate.core.meter import WireState
from tripgate.core.wirecost import WireCost
from tripgate.core.wiremeter import WireMeter

COST = WireCost.of(4)


def made(granted: int = 1_000_000) -> tuple[WireMeter, Budget]:
    budget = Budget(granted=granted)
    return WireMeter(Paying(budget), "a.example", "192.0.2.1", COST), budget


@given(st.integers(0, 300_000), st.integers(1, 100_000))
def test_what_there_is_room_for_is_within_the_budget(granted: int, want: int) -> None:
    meter, budget = made(granted)
    room = meter.room(want)
    meter.moved_down(room)
    assert room <= want and budget.overrun == 0


@given(st.integers(0, 100_000))
def test_a_budget_can_be_used_to_its_end(granted: int) -> None:
    meter, budget = made(granted)
    while room := meter.room(5_000):
        meter.moved_down(room)
    assert (budget.left, meter.up + meter.down) == (0, granted)


def test_who_takes_at_once_is_charged_as_who_asks_for_room_first() -> None:
    meter, budget = made()
    assert (meter.take_down(2 * 1448), meter.take_up(100)) == (2 * 1448, 100)
    other, same = made()
    other.moved_down(other.room(2 * 1448))
    other.moved_up(other.room(100))
    assert (meter.up, meter.down, budget.taken) == (other.up, other.down, same.taken)
    assert meter.post_payload() == (100, 2 * 1448)
    budget.revoked = True
    assert (meter.take_up(1), meter.take_down(1)) == (0, 0)


def test_a_download_is_charged_with_its_acknowledgements() -> None:
    meter, budget = made()
    meter.moved_down(2 * 1448)
    assert (meter.down, meter.up, budget.taken) == (3000, 52, 3052)


def test_an_upload_is_charged_with_its_acknowledgements() -> None:
    meter, budget = made()
    meter.moved_up(2 * 1448)
    assert (meter.up, meter.down, budget.taken) == (3000, 52, 3052)


def test_a_revoked_budget_leaves_no_room() -> None:
    meter, budget = made()
    budget.revoked = True
    assert meter.room(1) == 0


def test_an_upload_that_lies_in_buffers_is_not_posted_yet() -> None:
    meter, _ = made()
    meter.moved_up(2 * 1448)
    assert meter.post(WireState(sent=0, received=0)).up == 3000 - 2 * 1448
    assert meter.post(WireState(sent=2 * 1448, received=0)).up == 2 * 1448


def test_what_arrived_unread_is_charged_at_the_end() -> None:
    meter, budget = made()
    meter.end(WireState(sent=0, received=1448))
    assert (budget.taken, meter.down, meter.up) == (1552, 1500, 52)


def test_what_was_never_sent_goes_back_once() -> None:
    meter, budget = made()
    meter.moved_up(1448)
    meter.end(WireState(sent=0, received=0, dead=True))
    meter.end(WireState(sent=0, received=0, dead=True))
    assert budget.taken == 1552 - 1448


def test_what_was_posted_is_never_refunded() -> None:
    meter, budget = made()
    meter.moved_up(1448)
    meter.post(None)
    meter.end(WireState(sent=0, received=0, dead=True))
    assert budget.taken == 1552
