"""``plan forecast``: from the ledger's hours to an end, a range and a day's allowance."""

import time

from tests.cli import shapes
from tests.cli.conftest import World

HOUR_S = 3_600
MB = 1_000_000
FORECAST = {
    "enough_data": bool, "hours_of_data": int, "per_day_now": int, "remaining": (int, None),
    "expires_at": (shapes.Instant, None), "exhausted_at": (shapes.Instant, None),
    "earliest": (shapes.Instant, None), "latest": (shapes.Instant, None),
    "per_day_left": (int, None), "per_person_per_day_left": (int, None),
}  # fmt: skip


def test_without_data_it_says_that_it_does_not_know(world: World) -> None:
    made = world.json("plan", "forecast")
    shapes.fits(made, FORECAST)
    assert (made["enough_data"], made["hours_of_data"], made["exhausted_at"]) == (False, 0, None)
    assert "only 0 hours of data" in world.run("plan", "forecast")


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
