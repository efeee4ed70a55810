"""The drain of the box itself."""

from tripgate.core import boxdrain


def test_what_is_active_is_told_by_position() -> None:
    states = ["inactive"] * len(boxdrain.HELD)
    states[0] = states[2] = "active"
    assert boxdrain.active("\n".join(states) + "\n") == (boxdrain.HELD[0], boxdrain.HELD[2])


def test_without_an_answer_nothing_is_active() -> None:
    assert boxdrain.active("") == ()


def test_only_known_units_are_started_again() -> None:
    argv = boxdrain.let_go(["sshd.service", "apt-daily.timer", "--now"])
    assert argv == ("systemctl", "--no-block", "start", "apt-daily.timer")
