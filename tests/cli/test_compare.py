"""``plan compare``: what other offers would have cost, by this trip's own use and pace."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tripgate.cli.offersfile import SIZE_MOST

MB, HOUR_S, DAY_S = 10**6, 3_600, 86_400
ROOT = Path(__file__).parents[2]
OFFER = {
    "name": str, "volume": (int, None), "fair_use": (int, None), "valid_s": (int, None),
    "step": int, "price": float, "currency": str, "covers_used": bool, "trip": str,
    "packages": int, "top_ups": int, "cost": float, "cost_low": float, "cost_high": float,
    "step_counted": bool,
}  # fmt: skip
COMPARE = {
    "used": int, "since": shapes.Instant, "now": shapes.Instant, "until": (shapes.Instant, None),
    "hours_of_data": int, "expected": ({"low": int, "likely": int, "high": int}, None),
    "per_day": int, "offers": [OFFER],
}  # fmt: skip
TOML = """
[[offer]]
name = "Small"
volume = "2GB"
price = "5 USD"
valid = "30d"

[[offer]]
name = "Large"
volume = "20GB"
price = "30 USD"
valid = "30d"
step = "10kB"

[[offer]]
name = "Unlimited"
volume = "unlimited"
fair-use = "100MB/day"
price = "20 USD"
valid = "30d"
"""
CSV = """name,volume,price,valid,step,fair-use
Small,2GB,5 USD,30d,,
Large,20GB,30 USD,30d,10kB,
Unlimited,unlimited,20 USD,30d,,100MB/day
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "offers.toml"
    path.write_text(TOML)
    return path


@pytest.fixture
def travelled(world: World) -> World:
    """Two days of 240 MB on a plan of ten, the first byte of which they were."""
    phone = world.device("phone", "maria")
    begun = int(time.time()) // HOUR_S * HOUR_S
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun - 2 * DAY_S))
    world.run("plan", "set", "--volume", "5GB", "--valid", "10d", "--start", start)
    for hour in range(1, 49):
        world.used(phone, 0, 10 * MB, at=begun - hour * HOUR_S + 1)
    return world


def test_the_cheapest_that_lasts_comes_first(travelled: World, toml: Path) -> None:
    made = travelled.json("plan", "compare", str(toml))
    shapes.fits(made, COMPARE)
    assert made["used"] == 480 * MB
    assert made["expected"]["likely"] == pytest.approx(2_400 * MB, rel=0.01)
    assert made["expected"]["low"] < made["expected"]["likely"] < made["expected"]["high"]
    found = [(one["name"], one["trip"], one["cost"], one["packages"]) for one in made["offers"]]
    assert found == [
        ("Large", "lasts", 30.0, 1),
        ("Unlimited", "slow", 20.0, 1),
        ("Small", "runs out", 10.0, 2),
    ]
    assert all(one["covers_used"] for one in made["offers"])


def test_csv_says_the_same(travelled: World, toml: Path, tmp_path: Path) -> None:
    path = tmp_path / "Offers.CSV"
    path.write_text("\ufeff" + CSV)
    first, second = (travelled.json("plan", "compare", str(one)) for one in (toml, path))
    assert first["offers"] == second["offers"]


def test_a_trip_that_ends_earlier_needs_less(travelled: World, toml: Path) -> None:
    made = travelled.json("plan", "compare", str(toml), "--until", "2d")
    cheapest = made["offers"][0]
    assert (cheapest["name"], cheapest["trip"], cheapest["cost"]) == ("Small", "lasts", 5.0)


def test_the_table_says_what_it_goes_by_and_what_it_leaves_out(
    travelled: World, toml: Path
) -> None:
    said = travelled.run("plan", "compare", str(toml))
    assert "480 MB used since" in said
    assert "are expected" in said
    assert "Large *" in said
    assert "* rounding by session is not counted" in said


def test_without_a_forecast_costs_are_of_what_was_used(world: World, toml: Path) -> None:
    phone = world.device("phone")
    world.used(phone, 0, 3_000 * MB)
    made = world.json("plan", "compare", str(toml))
    shapes.fits(made, COMPARE)
    assert (made["expected"], made["until"]) == (None, None)
    found = {one["name"]: (one["covers_used"], one["trip"]) for one in made["offers"]}
    assert found["Small"] == (False, "runs out")
    assert found["Large"] == (True, "cannot say yet")
    assert "a forecast needs 6 hours of data" in world.run("plan", "compare", str(toml))


def test_without_an_end_it_says_how_to_name_one(travelled: World, toml: Path) -> None:
    travelled.put(lambda book: replace(book, plan=None))
    assert "name it with --until" in travelled.run("plan", "compare", str(toml))


def test_the_example_of_the_docs_can_be_compared(travelled: World) -> None:
    made = travelled.json("plan", "compare", str(ROOT / "docs/offers.toml"))
    assert len(made["offers"]) == 4


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "[[offer", "it is not TOML"),
        ("a.toml", "[[" * 5_000, "it is not TOML"),
        ("a.toml", "x = " + "[" * 20_000, "it is not TOML"),
        ("a.toml", "[[offers]]\nname='A'", "'offers' is unknown: write [[offer]]"),
        ("a.toml", "offer = 'x'", "offer is no list: write [[offer]]"),
        ("a.toml", "", "there is no offer"),
        ("a.toml", TOML.replace("2GB", "2"), "offer 1 'Small': volume: '2' is not a volume"),
        ("a.csv", "", "there is no offer"),
        ("a.csv", "name,name\nA,B", "two columns have one name"),
        ("a.csv", "name,volume,price\nA,1GB", "offer 1 'A' has 2 cells"),
        ("a.csv", 'name,volume,price\nA,"1GB,1 USD', "it is not CSV"),
        ("a.csv", CSV.replace("30 USD", "30 EUR"), "prices are in EUR and USD"),
        ("a.toml", "#" * (SIZE_MOST + 1), "is larger than 64 KiB"),
        ("a.toml", "\udcff", "is not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    world: World, tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(errors="surrogateescape"))
    code, line = world.refused("plan", "compare", str(path))
    assert (code, said in line) == (1, True), line
    assert line.startswith(str(path))


def test_a_file_that_is_not_there_or_none_is_one_line_and_not_waited_for(
    world: World, tmp_path: Path
) -> None:
    assert "No such file" in world.refused("plan", "compare", str(tmp_path / "none"))[1]
    os.mkfifo(tmp_path / "pipe")
    for none in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        code, said = world.refused("plan", "compare", str(none))
        assert (code, "name a file of offers" in said) == (1, True), said


@pytest.mark.parametrize(
    ("until", "said"), [("soon", "is no end"), ("2020-01-01", "is in the past"), ("-1d", "no end")]
)
def test_an_end_that_is_none_is_a_usage_error(
    world: World, toml: Path, until: str, said: str
) -> None:
    code, line = world.refused("plan", "compare", str(toml), f"--until={until}")
    assert (code, said in line) == (2, True), line
