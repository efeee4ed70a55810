"""A gap between two counters counts when it stays."""

from tripgate.core.counts import NOTHING, Volume, fresh
from tripgate.core.gap import LOOKS, Gap


def test_a_difference_of_one_moment_is_no_gap():
    gap = Gap()
    looks = [gap.look(Volume(0, 1000 + extra), Volume(0, 1000)) for extra in (0, 900, 0, 900, 0)]
    assert looks == [NOTHING] * 5


def test_a_difference_that_stays_is_counted_once():
    gap = Gap()
    new = [gap.look(Volume(70, 1500), Volume(0, 1000)) for _ in range(LOOKS + 2)]
    assert new == [NOTHING] * (LOOKS - 1) + [Volume(70, 500), NOTHING, NOTHING]


def test_a_gap_never_falls():
    gap = Gap()
    for _ in range(LOOKS):
        gap.look(Volume(0, 500), NOTHING)
    assert [gap.look(NOTHING, NOTHING) for _ in range(LOOKS)] == [NOTHING] * LOOKS
    for _ in range(LOOKS - 1):
        assert gap.look(Volume(0, 600), NOTHING) == NOTHING
    assert gap.look(Volume(0, 600), NOTHING) == Volume(0, 100)


def test_a_counter_that_fell_began_again_in_that_direction_only():
    assert fresh(Volume(100, 100), Volume(150, 40)) == Volume(50, 40)
