"""What waits for a channel is bounded, gathered, and tried again less and less often."""

from tripgate.core.event import Event
from tripgate.core.outbox import (
    FIRST_S,
    GATHER_S,
    KEEP_S,
    LAST_S,
    LINES,
    MOST,
    PAUSE_S,
    Outbox,
    lines,
)


def event(number: int = 0) -> Event:
    return Event(str(number), "drain", f"event {number}")


def filled(count: int = 1) -> Outbox:
    box = Outbox()
    for number in range(count):
        box.put(event(number), 0)
    return box


def test_what_comes_together_goes_together() -> None:
    box = filled(2)
    assert box.take(GATHER_S - 0.1) == ()
    box.put(event(2), GATHER_S - 0.1)
    assert [one.key for one in box.take(GATHER_S)] == ["0", "1", "2"]


def test_one_message_is_under_way_at_a_time() -> None:
    box = filled()
    assert box.take(GATHER_S)
    box.put(event(1), GATHER_S)
    assert box.take(1000) == ()


def test_what_arrived_goes_and_what_came_meanwhile_stays() -> None:
    box = filled()
    sent = box.take(GATHER_S)
    box.put(event(1), GATHER_S)
    box.done(sent, 10)
    assert box.take(10 + PAUSE_S - 0.1) == ()
    assert [one.key for one in box.take(10 + PAUSE_S)] == ["1"]


def test_a_failure_keeps_all_and_waits_longer_each_time() -> None:
    box, now, waits = filled(), GATHER_S, []
    for _ in range(9):
        assert len(box.take(now)) == 1
        box.failed(now)
        begun = now
        while not box.take(now):
            now += 1
        box.busy = False
        waits.append(now - begun)
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-2:] == [LAST_S, LAST_S]


def test_after_a_success_the_waits_begin_anew() -> None:
    box = filled()
    for _ in range(5):
        box.failed(0)
    box.done(box.take(LAST_S), LAST_S)
    box.put(event(), 1000)
    now = 1000 + GATHER_S
    assert box.take(now)
    box.failed(now)
    assert box.take(now + FIRST_S)


def test_the_oldest_go_when_there_are_too_many() -> None:
    box = filled(MOST + 5)
    assert len(box) == MOST
    assert box.take(GATHER_S)[0].key == "5"


def test_nothing_waits_for_ever() -> None:
    box = filled()
    box.put(event(1), KEEP_S)
    assert [one.key for one in box.take(KEEP_S + 1)] == ["1"]


def test_a_message_has_so_many_lines_and_says_how_many_more_there_are() -> None:
    assert lines(tuple(map(event, range(LINES)))) == [f"event {n}" for n in range(LINES)]
    cut = lines(tuple(map(event, range(LINES + 3))))
    assert (len(cut), cut[-1]) == (LINES + 1, "and 3 more: tripgate status")
