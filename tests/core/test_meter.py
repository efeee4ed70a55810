"""The meter of one connection: what is posted went over the wire, under the best name known."""

from tests.core.paying import Paying
from tripgate.core.lease import Budget
from tripgate.core.meter import IP_TCP_HEADERS, Meter, Posting, WireState


def made(granted: int = 10_000, name: str | None = "a.example") -> tuple[Meter, Budget]:
    budget = Budget(granted=granted)
    return Meter(Paying(budget), name, "192.0.2.1"), budget


def test_bytes_are_taken_from_the_budget_in_both_directions() -> None:
    meter, budget = made(granted=100)
    assert (meter.take_up(30), meter.take_down(90)) == (30, 70)
    assert budget.left == 0


def test_downloads_are_posted_as_delivered_and_uploads_as_sent() -> None:
    meter, _ = made()
    meter.take_up(1000)
    meter.take_down(500)
    assert meter.post(WireState(sent=400, received=500)) == Posting(400, 500, 0)
    assert meter.post(WireState(sent=1000, received=500)) == Posting(600, 0, 0)


def test_a_posting_never_goes_back() -> None:
    meter, _ = made()
    meter.take_up(1000)
    meter.post(WireState(sent=1000, received=0))
    assert meter.post(WireState(sent=10, received=0)) == Posting(0, 0, 0)


def test_without_the_kernels_word_all_that_was_taken_is_posted() -> None:
    meter, _ = made()
    meter.take_up(1000)
    assert meter.post(None).up == 1000


def test_what_arrived_unread_is_charged_at_the_end() -> None:
    meter, budget = made(granted=100)
    meter.take_down(100)
    meter.end(WireState(sent=0, received=160))
    assert (budget.taken, budget.overrun, meter.post(None).down) == (160, 60, 160)


def test_what_never_left_a_dead_socket_goes_back_to_the_budget() -> None:
    meter, budget = made()
    meter.take_up(1000)
    meter.end(WireState(sent=600, received=0, dead=True))
    assert (budget.taken, meter.post(None).up) == (600, 600)


def test_what_a_closing_socket_still_holds_is_counted_as_sent() -> None:
    meter, budget = made()
    meter.take_up(1000)
    meter.end(WireState(sent=600, received=0))
    assert (budget.taken, meter.post(None).up) == (1000, 1000)


def test_posted_bytes_are_never_refunded() -> None:
    meter, budget = made()
    meter.take_up(1000)
    meter.post(None)
    meter.end(WireState(sent=600, received=0, dead=True))
    assert budget.taken == 1000


def test_a_connection_ends_once() -> None:
    meter, budget = made()
    meter.end(WireState(sent=0, received=50))
    meter.end(WireState(sent=0, received=90))
    assert budget.taken == 50


def test_headers_are_reported_beside_the_bytes() -> None:
    meter, _ = made()
    wire = WireState(sent=0, received=0, segments=10, retransmitted=5)
    assert meter.post(wire).overhead == 10 * IP_TCP_HEADERS[4] + 5
    assert meter.post(wire).overhead == 0


def test_a_given_name_is_kept_whatever_the_first_bytes_say() -> None:
    meter, _ = made(name="given.example")
    meter.see(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert (meter.named, meter.name) == (True, "given.example")


def test_an_address_gets_its_name_from_the_first_bytes() -> None:
    meter, _ = made(name=None)
    assert not meter.named
    meter.see(b"GET / HTTP/1.1\r\nHost: seen")
    meter.see(b".example\r\n\r\n")
    assert (meter.named, meter.name) == (True, "seen.example")


def test_an_address_without_any_name_stays_unknown() -> None:
    meter, _ = made(name=None)
    meter.see(b"\x00\x01\x02")
    assert (meter.named, meter.name) == (True, None)


def test_after_the_end_no_name_is_waited_for() -> None:
    meter, _ = made(name=None)
    meter.end(None)
    assert meter.named
