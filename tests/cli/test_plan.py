"""``tripgate plan``: what is set, what stays, what is shown."""

import time
from datetime import UTC, datetime

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tests.cli.gateways import gateway

NOW_WITHIN_S = 5


def seconds(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def test_the_first_plan_begins_now(world: World) -> None:
    plan = world.json("plan", "set", "--volume", "10GB", "--valid", "30d", "--price", "25 USD")
    shapes.fits(plan, shapes.PLAN)
    started = seconds(plan["starts_at"])
    assert abs(started - time.time()) < NOW_WITHIN_S
    assert seconds(plan["expires_at"]) - started == 30 * 86_400
    expected = {"volume": 10**10, "price": "25 USD", "tz": "UTC", "step": 1, "start": "now"}
    assert {key: plan[key] for key in expected} == expected


def test_show_is_what_set_printed(world: World) -> None:
    plan = world.json("plan", "set", "--volume", "10GB", "--tz", "Europe/Lisbon")
    assert world.json("plan", "show") == plan


def test_without_a_plan_everything_is_unlimited(world: World) -> None:
    plan = world.json("plan", "show")
    shapes.fits(plan, shapes.PLAN)
    keys = ("volume", "used", "remaining", "starts_at", "expires_at", "tz", "price", "pace")
    assert [plan[key] for key in keys] == [None, 0, None, None, None, "UTC", None, None]


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (("--volume", "unlimited"), {"volume": None, "remaining": None}),
        (("--volume", "500MiB"), {"volume": 500 * 2**20}),
        (("--start", "first-use"), {"start": "first-use", "starts_at": None, "expires_at": None}),
        (("--start", "2026-05-01T09:00"), {"starts_at": "2026-05-01T08:00:00Z"}),
        (("--start", "2026-05-01T09:00Z"), {"starts_at": "2026-05-01T09:00:00Z"}),
        (("--start", "2026-05-01"), {"starts_at": "2026-04-30T23:00:00Z"}),
        (
            ("--start", "2026-05-01T09:00", "--tz", "Asia/Tokyo"),
            {"starts_at": "2026-05-01T00:00:00Z", "tz": "Asia/Tokyo"},
        ),
        (("--day", "24h"), {"day": "24h"}),
        (("--billing-day", "31"), {"billing_day": 31}),
        (("--price", " 19.90 € "), {"price": "19.90 €"}),
        (("--step", "100kB"), {"step": 100_000}),
        (("--unit", "GiB"), {"unit": "GiB"}),
        (("--uplink", "wwan0"), {"uplink": "wwan0"}),
        (("--uplink", "any"), {"uplink": None}),
        (("--valid", "12h"), {"expires_at": "2026-03-01T12:00:00Z"}),
    ],
)
def test_what_is_named_changes_and_the_rest_stays(
    world: World, options: tuple[str, ...], changed: dict[str, object]
) -> None:
    world.run("plan", "set", "--volume", "10GB", "--valid", "30d", "--tz", "Europe/Lisbon")
    before = world.json("plan", "set", "--start", "2026-03-01", "--price", "25 USD")
    after = world.json("plan", "set", *options)
    derived = {"remaining", "per_day", "pace", "expires_at", "start", "valid_s"}
    assert {key: after[key] for key in changed} == changed
    kept = set(before) - set(changed) - derived
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--volume", "10XB", "'10XB' is not a volume: write "),
        ("--volume", "none", "'none' is not a volume: write "),
        ("--valid", "30", "'30' is not a duration: write 30m, 2h or 30d"),
        ("--start", "tomorrow", "'tomorrow' is not an instant of 2000 to 2099: 2026-05-01, "),
        ("--start", "1999-12-31", "'1999-12-31' is not an instant of 2000 to 2099: "),
        ("--start", "2026-13-01", "'2026-13-01' is not an instant of 2000 to 2099: "),
        ("--day", "solar", "'solar' is not one of 'calendar', '24h'"),
        ("--billing-day", "0", "Input should be greater than or equal to 1"),
        ("--billing-day", "32", "Input should be less than or equal to 31"),
        ("--billing-day", "1.5", "Input should be a valid integer"),
        ("--price", "", 'a price is a short text like "25 USD" (at most 40 characters)'),
        ("--price", "5\x1b[31m", 'a price is a short text like "25 USD"'),
        ("--price", "5" * 41, 'a price is a short text like "25 USD"'),
        ("--tz", "Mars/Base", "'Mars/Base' is no time zone: write one like Europe/Lisbon or UTC"),
        ("--tz", "Europe", "'Europe' is no time zone: "),
        ("--tz", "../../etc/passwd", "'../../etc/passwd' is no time zone: "),
        ("--tz", "", "'' is no time zone: "),
        ("--step", "0B", "'0B' is out of range for a volume: write "),
        ("--unit", "TB", "'TB' is not one of 'GB', 'GiB'"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_shows_what_is_valid(
    world: World, option: str, value: str, message: str
) -> None:
    code, line = world.refused("plan", "set", option, value)
    assert code == 2
    assert line.startswith(f"invalid value for '{option}': {message}")
    assert line.endswith("(tripgate plan set --help shows how)")
    assert world.book.plan is None


def test_set_without_an_option_says_what_to_name(world: World) -> None:
    assert world.refused("plan", "set") == (
        2,
        "invalid value for plan set: name what to set, e.g. --volume 10GB "
        "(tripgate plan set --help shows how)",
    )


@pytest.mark.parametrize("name", ["", "a b", "wwan0;id", "-x", "x" * 16])
def test_an_uplink_is_the_name_of_an_interface(world: World, name: str) -> None:
    assert world.refused("plan", "set", f"--uplink={name}")[0] == 2


def test_use_of_the_trip_counts_against_the_volume(world: World) -> None:
    phone = world.device("phone")
    world.run("plan", "set", "--volume", "10MB", "--valid", "10d", "--start", ago(days=5))
    world.used(phone, 1_000_000, 3_000_000)
    plan = world.json("plan", "show")
    assert (plan["used"], plan["remaining"]) == (4_000_000, 6_000_000)
    assert plan["pace"] == pytest.approx(0.8, abs=0.001)
    assert plan["per_day"] == pytest.approx(1_200_000, rel=0.001)


def test_a_new_start_begins_the_count_anew(world: World) -> None:
    phone = world.device("phone")
    world.run("plan", "set", "--volume", "10MB", "--start", ago(days=5))
    world.used(phone, 0, 4_000_000)
    with gateway(world.state, clock="trusted"):
        assert world.json("plan", "set", "--start", "now")["used"] == 0


@pytest.mark.parametrize(
    ("start", "used", "pace"),
    [
        (5, 4_000_000, "0.80 (on track, 1.2 MB a day from now)"),
        (5, 6_000_000, "1.20 (too fast, 800 kB a day from now)"),
        (20, 4_000_000, "0.40 (on track)"),
    ],
)
def test_the_table_says_whether_the_plan_is_on_track(
    world: World, start: int, used: int, pace: str
) -> None:
    phone = world.device("phone")
    world.run("plan", "set", "--volume", "10MB", "--valid", "10d", "--start", ago(days=start))
    world.used(phone, 0, used)
    lines = dict(line.split(maxsplit=1) for line in world.run("plan", "show").splitlines())
    assert lines["pace"] == pace
    assert lines["volume"] == "10 MB"


def test_a_plan_that_waits_for_its_first_use_says_so(world: World) -> None:
    out = world.run("plan", "set", "--volume", "1GB", "--start", "first-use")
    assert "starts   with the first use\n" in out
    assert "expires  never\n" in out


@pytest.mark.parametrize(
    ("valid", "expires"),
    [("30d", "30 days"), ("1d", "1 day"), ("36h", "36 hours"), ("90m", "90 minutes")],
)
def test_a_plan_that_waits_for_its_first_use_expires_after_it(
    world: World, valid: str, expires: str
) -> None:
    out = world.run("plan", "set", "--volume", "1GB", "--start", "first-use", "--valid", valid)
    assert f"expires  {expires} after first use\n" in out


def test_a_plan_that_waits_for_its_first_use_counts_from_when_it_was_set(world: World) -> None:
    world.run("plan", "set", "--volume", "1GB", "--start", ago(days=5))
    world.run("plan", "set", "--start", "first-use")
    assert world.book.plan is not None
    assert world.book.plan.counted_from == pytest.approx(time.time(), abs=60)


def test_the_audit_has_the_whole_plan(world: World) -> None:
    world.run("plan", "set", "--volume", "10GB", "--valid", "30d", "--start", "2026-05-01T00:00Z")
    newest = world.json("audit")[0]
    assert (newest["action"], newest["detail"]) == (
        "plan set",
        "10 GB, valid 30d, start 2026-05-01T00:00:00Z, calendar days, month from day 1, UTC",
    )


def ago(days: int) -> str:
    return datetime.fromtimestamp(time.time() - days * 86_400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_next_plan_waits_in_the_row(world: World) -> None:
    world.json("plan", "set", "--volume", "1GB", "--tz", "Europe/Lisbon")
    world.json("plan", "set", "--volume", "5GB", "--valid", "7d", "--next")
    listed = world.json("plan", "list")
    assert [(one["volume"], one["start"]) for one in listed] == [
        (10**9, "now"),
        (5 * 10**9, "next"),
    ]
    assert (listed[1]["starts_at"], listed[1]["tz"]) == (None, "Europe/Lisbon")


def test_a_next_plan_is_what_set_prints(world: World) -> None:
    world.run("plan", "set", "--volume", "1GB", "--valid", "30d")
    out = world.run("plan", "set", "--volume", "5GB", "--valid", "7d", "--next")
    assert "volume   5 GB\n" in out
    assert "starts   at the end of the one before\n" in out
    assert "expires  7 days after its start\n" in out
    made = world.json("plan", "set", "--volume", "6GB", "--next")
    assert (made["volume"], made["start"], made["valid_s"]) == (6 * 10**9, "next", None)


def test_the_list_says_how_long_a_next_plan_lasts(world: World) -> None:
    world.run("plan", "set", "--volume", "1GB")
    world.run("plan", "set", "--volume", "5GB", "--valid", "7d", "--next")
    _, first, second = world.run("plan", "list").splitlines()
    assert first.endswith("never")
    assert second.endswith("at the end of the one before  7 days after its start")


def test_people_are_told_times_in_the_plans_zone_and_programs_in_utc(world: World) -> None:
    world.device("phone")
    world.run("cap", "set", "phone", "1MB/day")
    world.run("plan", "set", "--start", "2026-05-01T00:00Z", "--valid", "1d", "--tz", "Asia/Tokyo")
    assert world.json("plan", "show")["starts_at"] == "2026-05-01T00:00:00Z"
    told = {
        ("plan", "show"): "starts   2026-05-01 09:00 Asia/Tokyo\n",
        ("plan", "list"): "2026-05-02 09:00 Asia/Tokyo\n",
        ("cap", "list"): " 00:00 Asia/Tokyo  ok\n",
        ("usage", "--since", "day"): " 09:00 Asia/Tokyo, ",  # it began before the change of zone
        ("audit",): " Asia/Tokyo  cli:",
        ("plan", "forecast"): "expires     2026-05-02 09:00 Asia/Tokyo",
    }
    for command, text in told.items():
        assert text in world.run(*command), command


def test_a_next_plan_needs_one_before_it(world: World) -> None:
    assert world.refused("plan", "set", "--volume", "5GB", "--next")[0] == 1


def test_a_next_plan_has_no_start_of_its_own(world: World) -> None:
    assert world.refused("plan", "set", "--volume", "5GB", "--next", "--start", "now")[0] == 2


def test_with_an_untrusted_clock_set_says_what_counts(world: World) -> None:
    with gateway(world.state, clock="untrusted"):
        assert world.json("plan", "set", "--volume", "10GB")["clock"] == "untrusted"
        assert "not trusted: no day" in world.run("plan", "show")


def test_with_a_trusted_clock_nothing_is_said_of_it(world: World) -> None:
    with gateway(world.state, clock="trusted"):
        assert world.json("plan", "set", "--volume", "10GB")["clock"] == "trusted"
        assert "trusted" not in world.run("plan", "show")


def test_with_an_untrusted_clock_usage_counts_what_the_plan_does(world: World) -> None:
    phone = world.device("phone")
    with gateway(world.state, clock="untrusted"):
        world.used(phone, 0, 1_000_000)
        world.run("plan", "set", "--volume", "10GB", "--start", "now")
        world.used(phone, 0, 1_000)
        assert world.json("usage")["total"] == world.json("plan", "show")["used"] == 1_000


def test_volumes_of_a_plan_are_in_its_unit(world: World) -> None:
    world.run("plan", "set", "--volume", "10GiB", "--unit", "GiB")
    shown = world.run("plan", "show")
    assert "10 GiB" in shown
    assert "10 GiB" in world.run("plan", "list")
    assert "GB" not in shown


# -- plans of uplinks, steps ---------------------------------------------------------------------


def test_an_uplink_may_have_a_plan_of_its_own_beside_the_plan(world: World) -> None:
    phone = world.device("phone")
    world.run("plan", "set", "--volume", "10MB", "--tz", "Europe/Lisbon")
    hotel = world.json("plan", "set", "--volume", "2MB", "--valid", "3d", "--uplink", "wlan1")
    assert (hotel["uplink"], hotel["volume"], hotel["tz"]) == ("wlan1", 2_000_000, "Europe/Lisbon")
    world.used(phone, 0, 500_000)
    assert [(one["uplink"], one["volume"], one["used"]) for one in world.json("plan", "list")] == [
        (None, 10_000_000, 500_000),
        ("wlan1", 2_000_000, 0),
    ]
    assert world.json("plan", "show", "--uplink", "wlan1")["volume"] == 2_000_000
    assert world.json("plan", "show")["volume"] == 10_000_000


def test_what_follows_an_uplinks_plan_is_listed_behind_it(world: World) -> None:
    world.run("plan", "set", "--volume", "10MB")
    world.run("plan", "set", "--volume", "2MB", "--uplink", "wlan1")
    world.run("plan", "set", "--volume", "3MB", "--uplink", "wlan1", "--next")
    world.run("plan", "set", "--volume", "11MB", "--next")
    listed = world.json("plan", "list")
    assert [one["volume"] // 1_000_000 for one in listed] == [10, 11, 2, 3]
    assert [one["uplink"] for one in listed] == [None, None, "wlan1", "wlan1"]


def test_the_next_plan_is_billed_as_the_one_before_if_nothing_else_is_said(world: World) -> None:
    world.run("plan", "set", "--volume", "10MB", "--step", "10kB", "--uplink", "wwan0")
    world.run("plan", "set", "--volume", "5MB", "--next")
    following = world.json("plan", "list")[1]
    assert (following["step"], following["uplink"]) == (10_000, "wwan0")


def test_an_uplinks_plan_is_removed(world: World) -> None:
    world.run("plan", "set", "--volume", "10MB")
    world.run("plan", "set", "--volume", "2MB", "--uplink", "wlan1")
    assert len(world.json("plan", "remove", "wlan1")) == 1
    code, line = world.refused("plan", "remove", "wlan1")
    assert (code, line) == (1, "'wlan1' has no plan of its own: `tripgate plan list` shows them")


def test_the_audit_names_step_and_uplink(world: World) -> None:
    world.run("plan", "set", "--volume", "2MB", "--uplink", "wlan1", "--step", "10kB")
    assert world.json("audit")[0]["detail"].endswith("UTC, step 10 kB, on wlan1 alone")


def test_a_change_of_zone_gives_no_fresh_day(world: World) -> None:
    device = world.device("phone")
    world.json("cap", "set", "phone", "10MB/day")
    world.used(device, 0, 4_000_000)
    for zone in ("Asia/Tokyo", "Pacific/Pago_Pago", "Pacific/Kiritimati"):
        world.json("plan", "set", "--tz", zone)
        assert world.json("cap", "list")[0]["used"] == 4_000_000
