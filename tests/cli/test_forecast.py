"""``plan forecast``: from the ledger's hours to an end, a range and a day's allowance."""

import time
from datetime import UTC, datetime

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tests.core.test_forecast import BEGAN, DAY_S, week

HOUR_S = 3_600
MB = 1_000_000
FORECAST = {
    "enough_data": bool, "hours_of_data": int, "per_day_now": int, "remaining": (int, None),
    "expires_at": (shapes.Instant, None), "exhausted_at": (shapes.Instant, None),
    "earliest": (shapes.Instant, None), "latest": (shapes.Instant, None),
    "per_day_left": (int, None), "per_person_per_day_left": (int, None),
    "valid_s": (int, None), "start": str,
}  # fmt: skip


def test_without_data_it_says_that_it_does_not_know(world: World) -> None:
    made = world.json("plan", "forecast")
    shapes.fits(made, FORECAST)
    assert (made["enough_data"], made["hours_of_data"], made["exhausted_at"]) == (False, 0, None)
    first = world.run("plan", "forecast").splitlines()[0]
    assert first == "runs out    not known yet: 0 of the 6 hours of use that it takes"


def test_a_plan_that_waits_for_its_first_use_expires_after_it(world: World) -> None:
    world.run("plan", "set", "--volume", "1GB", "--valid", "30d", "--start", "first-use")
    assert "30 days after first use\n" in world.run("plan", "forecast")


def test_two_days_of_even_use_foresee_the_end(world: World) -> None:
    phone = world.device("phone", "maria")
    world.json("plan", "set", "--volume", "1000MB", "--valid", "30d")
    begun = int(time.time()) // HOUR_S * HOUR_S
    for hour in range(1, 49):
        world.used(phone, 0, MB, at=begun - hour * HOUR_S + 1)
    made = world.json("plan", "forecast")
    shapes.fits(made, FORECAST)
    assert (made["enough_data"], made["hours_of_data"]) == (True, 48)
    assert made["per_day_now"] == 24 * MB
    assert made["exhausted_at"] is None, "1000 MB at 24 MB a day last for 30 days"
    assert made["per_person_per_day_left"] == made["per_day_left"]


def test_at_this_pace_it_ends_before_it_expires(world: World) -> None:
    phone = world.device("phone", "maria")
    world.json("plan", "set", "--volume", "100MB", "--valid", "30d")
    begun = int(time.time()) // HOUR_S * HOUR_S
    for hour in range(1, 49):
        world.used(phone, 0, MB, at=begun - hour * HOUR_S + 1)
    made = world.json("plan", "forecast")
    assert made["earliest"] < made["exhausted_at"] < made["latest"] < made["expires_at"]


def test_a_replayed_week_ends_the_plan_within_a_tenth_of_when_it_did(world: World) -> None:
    """Four days are replayed into the ledger; the other three are what came."""
    phone = world.device("phone", "maria")
    now = int(time.time())
    shift = now // HOUR_S * HOUR_S - BEGAN - 4 * DAY_S
    came = {at + shift: volume for at, volume in week(3).items()}
    past = {at: volume for at, volume in came.items() if at + HOUR_S <= now}
    start = datetime.fromtimestamp(min(came), UTC).strftime("%Y-%m-%dT%H:%MZ")
    world.run("plan", "set", "--volume", f"{sum(past.values()) + 2_000 * MB}B", "--start", start)
    for at, volume in past.items():
        world.used(phone, 0, volume, at=at + 1)
    left, end = 2_000 * MB, 0
    for at in sorted(came.keys() - past.keys()):
        left, end = left - came[at], end or (at + HOUR_S if left <= came[at] else 0)
    world.used(phone, 0, 0)
    made = world.json("plan", "forecast")
    assert end
    foreseen = datetime.fromisoformat(made["exhausted_at"]).timestamp()
    assert foreseen == pytest.approx(end, abs=0.1 * (end - now) + HOUR_S)
    assert made["hours_of_data"] == 96
