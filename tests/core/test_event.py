"""Which events hold, and when an event is another one."""

from dataclasses import replace
from typing import Any

import pytest

from tripgate.core import book
from tripgate.core.book import EMPTY, Book
from tripgate.core.drain import BIG, Drain, Piece
from tripgate.core.event import Event, Outlook, holding
from tripgate.core.model import (
    PLAN,
    Cap,
    CapState,
    DeviceState,
    Period,
    Plan,
    Warned,
    device_target,
)
from tripgate.core.usage import DAY_S, HOUR_S

NOW = 1_700_000_000 // DAY_S * DAY_S + 12 * HOUR_S
MB = 1_000_000
STARTS = {Period.DAY: NOW - 12 * HOUR_S, Period.TRIP: 0}


def with_phone(state: DeviceState = DeviceState.APPROVED) -> tuple[Book, str]:
    made, phone = book.add_device(EMPTY, "x", 9, entropy="00000001", state=state, name="phone")
    return made, phone.id


def told(made: Book, **more: Any) -> list[Event]:
    return holding(Outlook(made, more.pop("caps", ()), STARTS, NOW, **more))


def day_cap(made: Book, device: str, used: int, limit: int = 100 * MB) -> CapState:
    return CapState(Cap(device_target(device), Period.DAY, limit), used, 0, None)


def warned(made: Book, device: str, start: int = STARTS[Period.DAY]) -> Book:
    return replace(made, warned=(Warned(device_target(device), Period.DAY, start, 80),))


def test_a_warning_of_the_present_period_holds() -> None:
    made, phone = with_phone()
    (one,) = told(warned(made, phone), caps=[day_cap(made, phone, 81 * MB)])
    assert one.kind == "cap-warning"
    assert one.text == "80 % of the day cap of device:phone is used, 19 MB left"


def test_a_warning_of_yesterday_does_not() -> None:
    made, phone = with_phone()
    assert not told(warned(made, phone, 5), caps=[day_cap(made, phone, 81 * MB)])


def test_of_a_cap_that_is_used_up_no_warning_is_told() -> None:
    made, phone = with_phone()
    (one,) = told(warned(made, phone), caps=[day_cap(made, phone, 100 * MB)])
    assert (one.kind, one.text) == (
        "cap-reached",
        "the day cap of device:phone is used up (100 MB)",
    )


def test_a_raised_cap_that_is_used_up_again_is_another_event() -> None:
    made, phone = with_phone()
    keys = {
        told(made, caps=[day_cap(made, phone, size, size)])[0].key for size in (10 * MB, 20 * MB)
    }
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("used", "level"), [(79, None), (80, "80 %"), (95, "95 %"), (99, "95 %"), (120, "100 %")]
)
def test_the_plans_highest_level_is_told(used: int, level: str | None) -> None:
    made = book.set_plan(EMPTY, Plan(volume=100 * MB))
    found = told(made, plan_used=used * MB, plan_volume=100 * MB)
    assert [one.text[: len(level or "")] for one in found] == ([level] if level else [])


@pytest.mark.parametrize(
    ("ends_in", "trusted", "tells"),
    [(DAY_S, True, True), (DAY_S + 1, True, False), (-1, True, False), (DAY_S, False, False)],
)
def test_the_last_day_of_the_plan_is_told(ends_in: int, trusted: bool, tells: bool) -> None:
    plan = Plan(valid_s=30 * DAY_S, starts_at=NOW + ends_in - 30 * DAY_S)
    found = told(book.set_plan(EMPTY, plan), trusted=trusted)
    assert [one.text for one in found] == (["the plan ends in 24 h"] if tells else [])


def test_a_device_that_waits_is_told_with_what_lets_it_in() -> None:
    made, _ = with_phone(DeviceState.PENDING)
    (one,) = told(made)
    assert one.text == "phone waits: tripgate device approve phone"
    assert not told(book.approve_device(made, "phone"))


def drain(device: str, volume: int, confidence: str = "high", at: int = NOW) -> Drain:
    piece = Piece(device, "Google Photos", "cloud-sync", at, volume, confidence, "quiet")
    return Drain((piece,), at + HOUR_S)


def test_a_big_drain_is_told_with_what_pauses_it() -> None:
    made, phone = with_phone()
    (one,) = told(made, drains=[drain(phone, BIG), drain(phone, BIG, at=NOW - 5 * HOUR_S)])
    assert one.text.startswith("Google Photos moved 20 MB on phone that nobody asked for: tripgate")
    assert "policy pause google-photos --for device:phone" in one.text


def test_small_ones_guesses_and_those_of_nobody_are_not() -> None:
    made, phone = with_phone()
    found = [drain(phone, BIG - 1), drain(phone, BIG, "low"), drain("dev-gone", BIG)]
    assert told(made, drains=found) == []


def test_bytes_of_nobody_are_told_once_a_day() -> None:
    (one,) = told(EMPTY, unattributed=5 * MB)
    assert one.key == f"unattributed:{STARTS[Period.DAY]}"
    assert one.text == "5 MB of the last hour have no owner: tripgate doctor"


def test_the_plan_is_no_device() -> None:
    state = CapState(Cap(PLAN, Period.TRIP, MB), MB, 0, None)
    (one,) = told(EMPTY, caps=[state])
    assert one.text == "the trip cap of plan is used up (1 MB)"
