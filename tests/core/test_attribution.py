"""The kernel's bytes get the names of what moved, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.attribution import MOST_NAMES, Attribution
from tripgate.core.counts import Volume

NAMES = st.sampled_from(["a.example", "b.example", None])
BYTES = st.integers(0, 10**9)
VOLUMES = st.builds(Volume, BYTES, BYTES)
ROUNDS = st.lists(st.tuples(st.lists(st.tuples(NAMES, VOLUMES), max_size=4), VOLUMES, BYTES))


@given(ROUNDS)
def test_exactly_what_the_kernel_counted_is_given_out(rounds):
    attribution = Attribution()
    for payloads, counted, forwarded in rounds:
        for name, payload in payloads:
            attribution.add(name, payload)
        given_out = attribution.split(counted, forwarded)
        assert sum(given_out.values(), Volume()) == counted


def test_headers_follow_the_payload_of_both_directions():
    attribution = Attribution()
    attribution.add("a.example", Volume(0, 3000))
    attribution.add("b.example", Volume(1000, 0))
    given_out = attribution.split(Volume(1100, 3200))
    assert given_out == {"a.example": Volume(75, 3150), "b.example": Volume(1025, 50)}


def test_headers_that_come_late_follow_what_moved_before():
    attribution = Attribution()
    attribution.add("a.example", Volume(0, 3000))
    attribution.split(Volume(0, 3000))
    assert attribution.split(Volume(52, 0)) == {"a.example": Volume(52, 0)}


def test_payload_that_the_kernel_has_not_counted_waits_for_it():
    attribution = Attribution()
    attribution.add("a.example", Volume(1000, 0))
    assert attribution.split(Volume(400, 0)) == {"a.example": Volume(400, 0)}
    attribution.add("b.example", Volume(0, 0))
    assert attribution.split(Volume(600, 0)) == {"a.example": Volume(600, 0)}


def test_forwarded_packets_have_no_name():
    attribution = Attribution()
    attribution.add("a.example", Volume(0, 1000))
    given_out = attribution.split(Volume(500, 1500), 1000)
    assert given_out == {"a.example": Volume(250, 750), None: Volume(250, 750)}


def test_bytes_of_nothing_known_have_no_name():
    assert Attribution().split(Volume(60, 40)) == {None: Volume(60, 40)}


def test_names_are_bounded():
    attribution = Attribution()
    for number in range(MOST_NAMES + 10):
        attribution.add(f"{number}.example", Volume(0, 1))
    given_out = attribution.split(Volume(0, MOST_NAMES + 10))
    assert len(given_out) == MOST_NAMES + 1
    assert given_out[None] == Volume(0, 10)
