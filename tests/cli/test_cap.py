"""``tripgate cap``: setting, listing, clearing; targets and amounts parsed strictly."""

import time

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tripgate.core.model import PLAN, Period, device_target, person_target

PHONE = device_target("dev-0001")
VOLUMES = "write 500MB, 1.5GB, 500MiB, 20480kB or 1000000B"
CAPS = "write 500MB/day, 2GB/week, 10GB/month, 10GB/trip or 1GB/once"
PERCENTAGES = "is not a list of rising percentages: 50,80,95 (1 to 100, at most 8), or none"


@pytest.fixture
def family(world: World) -> World:
    """maria with a phone, a device and a person who are both called tom."""
    world.device("phone", "maria")
    world.device("tom", "tom")
    return world


def test_set_prints_the_cap_with_the_keys_of_the_contract(family: World) -> None:
    family.used(next(iter(family.book.devices)), 1_000_000, 1_500_000)
    cap = family.json("cap", "set", "phone", "5MB/day")
    shapes.fits(cap, shapes.CAP)
    resets = cap.pop("resets_at")
    assert cap == {
        "target": "device:phone",
        "period": "day",
        "limit": 5_000_000,
        "used": 2_500_000,
        "reserved": 0,
        "remaining": 2_500_000,
        "action": "block",
        "warn": [50, 80, 95],
        "reached": False,
        "given": 0,
        "roll": False,
        "except": None,
        "needed": 0,
    }
    assert resets.endswith("T00:00:00Z")
    assert family.json("cap", "list") == [{**cap, "resets_at": resets}]


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ("phone", "device:phone"),
        ("device:phone", "device:phone"),
        ("device:dev-0001", "device:phone"),
        ("dev-0001", "device:phone"),
        ("maria", "person:maria"),
        ("person:maria", "person:maria"),
        ("device:tom", "device:tom"),
        ("person:tom", "person:tom"),
        ("plan", "plan"),
    ],
)
def test_a_target_is_written_in_any_unambiguous_way(family: World, target: str, label: str) -> None:
    assert family.json("cap", "set", target, "1GB/trip")["target"] == label
    assert [cap["target"] for cap in family.json("cap", "list")] == [label]


@pytest.mark.parametrize(
    ("amount", "limit", "period"),
    [
        ("500MB/day", 500_000_000, Period.DAY),
        ("500MiB/week", 500 * 2**20, Period.WEEK),
        ("1.5GB/month", 1_500_000_000, Period.MONTH),
        ("20480kB/trip", 20_480_000, Period.TRIP),
        ("1000000B/once", 1_000_000, Period.ONCE),
    ],
)
def test_amounts_and_periods_are_those_of_the_contract(
    family: World, amount: str, limit: int, period: Period
) -> None:
    family.run("cap", "set", "phone", amount)
    ((key, cap),) = family.book.caps.items()
    assert (key, cap.limit) == ((PHONE, period), limit)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("500MB", f"'500MB' is not a cap: {CAPS}"),
        ("5XB/day", f"'5XB' is not a volume: {VOLUMES}"),
        ("-5MB/day", None),
        ("0B/day", f"'0B' is out of range for a volume: {VOLUMES}"),
        ("1e9B/day", f"'1e9B' is not a volume: {VOLUMES}"),
        ("\u0665MB/day", f"'\u0665MB' is not a volume: {VOLUMES}"),
        ("500MB/noon", "'noon' is not a period: write day, week, month, trip, once"),
        ("500MB/day/week", "'day/week' is not a period: write day, week, month, trip, once"),
        ("/day", f"'' is not a volume: {VOLUMES}"),
        ("9" * 30 + "GB/day", f"'{'9' * 30}GB' is not a volume: {VOLUMES}"),
    ],
)
def test_a_bad_amount_is_a_usage_error_that_shows_the_valid_forms(
    family: World, amount: str, message: str | None
) -> None:
    code, line = family.refused("cap", "set", "phone", amount)
    assert code == 2
    if message:
        start = f"invalid value for VOLUME/PERIOD: {message}"
        assert line == f"{start} (tripgate cap set --help shows how)"
    assert family.book.caps == {}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("phne", "no device or person 'phne': did you mean phone?"),
        ("tom", "'tom' is a device and a person: write device:tom or person:tom"),
        ("device:maria", "no device 'maria': `tripgate device list` shows them"),
        ("person:phone", "no person 'phone': `tripgate person list` shows them"),
        ("group:all", "'group:all' is no target: write device:NAME, person:NAME or plan"),
    ],
)
def test_an_unknown_target_is_refused(family: World, target: str, message: str) -> None:
    assert family.refused("cap", "set", target, "1GB/day") == (1, message)


@pytest.mark.parametrize("action", ["block", "throttle:256kbit", "throttle:1.5Mbit", "essentials"])
def test_every_action_is_kept_as_it_was_written(family: World, action: str) -> None:
    family.cli("cap", "set", "phone", "1GB/day", "--at-cap", action)
    assert [cap["action"] for cap in family.json("cap", "list")] == [action]


@pytest.mark.parametrize("action", ["explode", "throttle", "throttle:", "throttle:fast", "block:1"])
def test_what_is_no_action_is_a_usage_error(family: World, action: str) -> None:
    code, line = family.refused("cap", "set", "phone", "1GB/day", "--at-cap", action)
    assert (code, line.split(":")[0]) == (2, "invalid value for --at-cap")
    assert family.book.caps == {}


def test_hours_that_do_not_count_begin_a_count_of_their_own(family: World) -> None:
    family.used(next(iter(family.book.devices)), 1_000, 1_500)
    cap = family.json("cap", "set", "phone", "5MB/day", "--except", "01:00-06:00")
    assert cap["used"] == 0
    assert family.book.caps[PHONE, Period.DAY].free == (60, 360)


@pytest.mark.parametrize("window", ["1-6", "25:00-06:00", "01:00", "01:00-06:60"])
def test_hours_that_are_none_are_a_usage_error(family: World, window: str) -> None:
    assert family.refused("cap", "set", "phone", "1GB/day", "--except", window)[0] == 2


@pytest.mark.parametrize(
    ("text", "levels"),
    [("90", [90]), ("1,100", [1, 100]), ("none", []), ("1,2,3,4,5,6,7,8", [*range(1, 9)])],
)
def test_warn_levels(family: World, text: str, levels: list[int]) -> None:
    assert family.json("cap", "set", "phone", "1GB/day", "--warn", text)["warn"] == levels


@pytest.mark.parametrize(
    "text",
    ["", "0", "101", "80,50", "50,50", "50,", "50.5", "+50", " 50", "\u0665", "1,2,3,4,5,6,7,8,9"],
)
def test_bad_warn_levels_are_a_usage_error(family: World, text: str) -> None:
    code, line = family.refused("cap", "set", "phone", "1GB/day", "--warn", text)
    assert code == 2
    assert line.startswith("invalid value for --warn: ")
    assert PERCENTAGES in line


def test_the_same_target_and_period_replaces_a_cap(family: World) -> None:
    family.run("cap", "set", "phone", "5MB/day")
    family.run("cap", "set", "phone", "1GB/trip")
    family.run("cap", "set", "phone", "100MB/day")
    found = {(cap["period"], cap["limit"]) for cap in family.json("cap", "list")}
    assert found == {("day", 100_000_000), ("trip", 1_000_000_000)}


def test_a_once_cap_that_is_raised_goes_on_counting(family: World) -> None:
    family.run("cap", "set", "phone", "5MB/once")
    family.used("dev-0001", 0, 4_000_000)
    cap = family.json("cap", "set", "phone", "10MB/once")
    assert (cap["used"], cap["remaining"], cap["resets_at"]) == (4_000_000, 6_000_000, None)


def test_setting_the_same_cap_twice_is_one_entry_in_the_audit(family: World) -> None:
    family.run("cap", "set", "phone", "5MB/day")
    before = family.json("audit")
    family.run("cap", "set", "phone", "5MB/day")
    assert family.json("audit") == before
    assert (before[0]["action"], before[0]["detail"]) == ("cap set", "device:phone 5MB/day")


def test_a_reached_cap_says_so(family: World) -> None:
    family.used("dev-0001", 0, 7_000_000)
    cap = family.json("cap", "set", "phone", "5MB/day")
    assert (cap["used"], cap["remaining"], cap["reached"]) == (7_000_000, 0, True)
    row = family.run("cap", "list").splitlines()[1]
    assert "##########  140%" not in row
    assert "########## 140%" in row
    assert row.endswith("reached")


@pytest.mark.parametrize(
    ("options", "terms", "state"),
    [
        (("--at-cap", "throttle:256kbit"), "throttle:256kbit", "slowed"),
        (("--at-cap", "essentials"), "essentials", "essentials only"),
        (("--except", "01:00-06:00"), "except 01:00-06:00", "ok"),
        (("--warn", "90"), "warn 90", "reached"),
        (("--warn", "none"), "no warning", "reached"),
        (("--roll",), "rolls", "reached"),
        (
            ("--at-cap", "essentials", "--warn", "80,95"),
            "essentials, warn 80,95",
            "essentials only",
        ),
    ],
)
def test_what_is_not_the_default_is_shown(
    family: World, options: tuple[str, ...], terms: str, state: str
) -> None:
    family.run("cap", "set", "phone", "5MB/day", *options)
    family.used("dev-0001", 0, 0 if state == "ok" else 7_000_000)
    heading, row = family.run("cap", "list").splitlines()
    at = heading.index("terms")
    assert (row[:at].rstrip().endswith(f"  {state}"), row[at:]) == (True, terms)


def test_the_terms_are_shown_by_set_too_and_beside_caps_that_have_none(family: World) -> None:
    shown = family.run("cap", "set", "phone", "1GB/day", "--at-cap", "throttle:1Mbit")
    assert shown.splitlines()[1].endswith("  throttle:1Mbit")
    family.run("cap", "set", "plan", "9GB/trip")
    assert family.run("cap", "list").splitlines()[2].endswith("  -")
    assert family.run("give", "phone", "1MB").splitlines()[1].endswith("  throttle:1Mbit")


def test_json_has_the_exception_and_the_roll(family: World) -> None:
    family.run("cap", "set", "phone", "1GB/day", "--roll")
    family.run("cap", "set", "phone", "1GB/week", "--except", "01:00-06:00")
    found = {(cap["period"], cap["roll"], cap["except"]) for cap in family.json("cap", "list")}
    assert found == {("day", True, None), ("week", False, "01:00-06:00")}


def test_a_cap_of_yesterday_starts_again_once_the_clock_is_trusted(family: World) -> None:
    family.run("cap", "set", "phone", "5MB/day")
    family.used("dev-0001", 0, 5_000_000, at=int(time.time()) - 86_400)
    with gateway(family.state, clock="untrusted"):
        assert family.json("cap", "list")[0]["reached"] is True
    with gateway(family.state, clock="trusted"):
        assert family.json("cap", "list")[0]["reached"] is False


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (("phone", "day"), {(person_target("maria"), Period.WEEK), (PLAN, Period.TRIP)}),
        (
            ("plan",),
            {(device_target("dev-0001"), Period.DAY), (person_target("maria"), Period.WEEK)},
        ),
        (("maria",), {(device_target("dev-0001"), Period.DAY), (PLAN, Period.TRIP)}),
    ],
)
def test_clear_takes_the_named_caps_and_no_others(
    family: World, arguments: tuple[str, ...], left: set[object]
) -> None:
    for target, amount in (("phone", "1MB/day"), ("maria", "1GB/week"), ("plan", "9GB/trip")):
        family.run("cap", "set", target, amount)
    assert family.json("cap", "clear", *arguments) == []
    assert set(family.book.caps) == left


def test_clear_prints_what_the_target_still_has(family: World) -> None:
    family.run("cap", "set", "phone", "1MB/day")
    family.run("cap", "set", "phone", "1GB/week")
    assert [cap["period"] for cap in family.json("cap", "clear", "phone", "day")] == ["week"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("phone",), 1, "device:phone has no such cap: `tripgate cap list`"),
        (("phone", "week"), 1, "device:phone has no such cap: `tripgate cap list`"),
        (
            ("phone", "noon"),
            2,
            "invalid value for PERIOD: 'noon' is not a period: write day, week, month, trip, once "
            "(tripgate cap clear --help shows how)",
        ),
    ],
)
def test_clearing_what_is_not_there_is_said(
    family: World, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert family.refused("cap", "clear", *arguments) == (code, message)


def test_the_list_is_drawn_with_a_bar(family: World) -> None:
    family.used("dev-0001", 0, 120_000_000)
    family.run("cap", "set", "phone", "500MB/day")
    heading, row = family.run("cap", "list").splitlines()
    assert heading.split() == ["target", "period", "limit", "used", "left", "resets", "state"]
    assert row.startswith("device:phone  day     500 MB  120 MB  380 MB  ##········  24%  ")
    assert row.endswith(" 00:00 UTC  ok")


def test_no_caps_says_how_to_set_one(world: World) -> None:
    assert world.run("cap", "list") == "no caps: tripgate cap set TARGET 500MB/day sets one\n"
    assert world.json("cap", "list") == []
