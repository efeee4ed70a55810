"""``tripgate usage``: who used what, by any dimension, for anybody, since any time."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tripgate.core.book import add_device
from tripgate.core.classify import Service

PHOTOS = Service("iCloud Photos", "cloud-sync")
VIDEO = Service("YouTube", "video")
KEYS: dict[str, dict[str, Any]] = {
    "device": {"device": str, "id": (str, None)},
    "person": {"person": (str, None)},
    "category": {"category": str},
    "service": {"service": str},
    "host": {"host": str},
}


@pytest.fixture
def family(world: World) -> World:
    """maria's phone and camera, tom's laptop, and a tablet of nobody that did nothing."""
    phone = world.device("phone", "maria")
    camera = world.device("camera", "maria")
    laptop = world.device("laptop", "tom")
    world.device("tablet")
    world.used(phone, 1_000, 9_000, service=PHOTOS, host="photos.example", overhead=70)
    world.used(phone, 500, 500, service=VIDEO, host="video.example", overhead=30)
    world.used(camera, 2_000, 0, service=PHOTOS, host="photos.example")
    world.used(laptop, 0, 40_000, service=VIDEO, host="video.example")
    return world


def amounts(document: dict[str, Any], *keys: str) -> dict[Any, tuple[int, int]]:
    """``(up, down)`` of each row by its keys."""
    return {
        tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: (row["up"], row["down"])
        for row in document["rows"]
    }


@pytest.mark.parametrize("by", ["device", "person", "category", "service", "host"])
def test_every_dimension_has_the_keys_of_the_contract(family: World, by: str) -> None:
    document = family.json("usage", "--by", by)
    shapes.fits(document, shapes.usage(KEYS[by]))
    assert (document["by"], document["kind"]) == ([by], "upstream-bytes")
    for row in document["rows"]:
        assert row["total"] == row["up"] + row["down"]
    assert document["total"] == sum(row["total"] for row in document["rows"]) == 53_000


def test_devices_have_their_bytes_largest_first_and_idle_ones_too(family: World) -> None:
    document = family.json("usage", "--by", "device")
    assert [(row["device"], row["id"], row["up"], row["down"]) for row in document["rows"]] == [
        ("laptop", "dev-0003", 0, 40_000),
        ("phone", "dev-0001", 1_500, 9_500),
        ("camera", "dev-0002", 2_000, 0),
        ("tablet", "dev-0004", 0, 0),
    ]
    assert document["overhead"] == 100


def test_device_is_the_default(family: World) -> None:
    assert family.json("usage")["by"] == ["device"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("person", {"tom": (0, 40_000), "maria": (3_500, 9_500), None: (0, 0)}),
        ("category", {"video": (500, 40_500), "cloud-sync": (3_000, 9_000)}),
        ("service", {"YouTube": (500, 40_500), "iCloud Photos": (3_000, 9_000)}),
        ("host", {"video.example": (500, 40_500), "photos.example": (3_000, 9_000)}),
    ],
)
def test_bytes_are_summed_by_one_dimension(
    family: World, by: str, expected: dict[str | None, tuple[int, int]]
) -> None:
    assert amounts(family.json("usage", "--by", by), by) == expected


def test_bytes_are_summed_by_several_dimensions(family: World) -> None:
    document = family.json("usage", "--by", "person,service")
    shapes.fits(document, shapes.usage({**KEYS["person"], **KEYS["service"]}))
    assert amounts(document, "person", "service") == {
        ("tom", "YouTube"): (0, 40_000),
        ("maria", "iCloud Photos"): (3_000, 9_000),
        ("maria", "YouTube"): (500, 500),
    }


@pytest.mark.parametrize(
    ("target", "devices"),
    [
        ("phone", {"phone"}),
        ("device:phone", {"phone"}),
        ("maria", {"phone", "camera"}),
        ("plan", {"phone", "camera", "laptop", "tablet"}),
    ],
)
def test_for_narrows_it_to_a_target(family: World, target: str, devices: set[str]) -> None:
    document = family.json("usage", "--for", target)
    assert {row["device"] for row in document["rows"]} == devices


def test_an_unknown_target_is_refused(family: World) -> None:
    assert family.refused("usage", "--for", "fone") == (
        1,
        "no device or person 'fone': did you mean phone?",
    )


@pytest.mark.parametrize("by", ["device", "host", "category,person"])
def test_all_adds_what_is_no_devices_with_zeros(family: World, by: str) -> None:
    first, *rest = by.split(",")
    rows = family.json("usage", "--by", by, "--all")["rows"][-2:]
    assert [row[first] for row in rows] == ["(gateway)", "(unattributed)"]
    for row in rows:
        assert (row["up"], row["down"], row["total"]) == (0, 0, 0)
        assert [row[key] for key in rest] == [None] * len(rest)
    assert "(gateway)" not in str(family.json("usage", "--by", by))


@pytest.mark.parametrize(
    ("ago", "since", "counted"),
    [
        (0, "2h", True),
        (3 * 3600, "5h", True),
        (3 * 3600, "1h", False),
        (40 * 86_400, "50d", True),
        (40 * 86_400, "30d", False),
        (100 * 86_400, "200d", True),
        (100 * 86_400, "70d", False),
    ],
)
def test_since_leaves_out_what_was_before(
    world: World, ago: int, since: str, counted: bool
) -> None:
    phone = world.device("phone")
    world.used(phone, 0, 1_000, at=int(time.time()) - ago)
    assert world.json("usage", "--since", since)["total"] == (1_000 if counted else 0)


def test_since_says_from_when_it_really_counts(world: World) -> None:
    world.device("phone")
    document = world.json("usage", "--since", "90m")
    asked = time.time() - 90 * 60
    begun = datetime.fromisoformat(document["since"])
    assert (begun.minute, begun.second) == (0, 0)
    assert 0 <= asked - begun.timestamp() < 3605


def test_without_a_plan_it_counts_since_the_first_device(world: World) -> None:
    world.device("phone")
    first = world.book.devices["dev-0001"].created_at
    since = world.json("usage")["since"]
    assert int(datetime.fromisoformat(since).timestamp()) == first


def test_with_a_plan_it_counts_since_the_plans_start(world: World) -> None:
    phone = world.device("phone")
    world.used(phone, 0, 1_000)
    start = datetime.fromtimestamp(time.time() - 86_400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.run("plan", "set", "--start", start)
    world.used(phone, 0, 300)
    document = world.json("usage")
    assert (document["since"], document["total"]) == (start, 300)
    trip = world.json("usage", "--since", "trip")
    assert (trip["since"], trip["rows"]) == (start, document["rows"])


def test_since_once_counts_from_the_beginning_of_that_cap(world: World) -> None:
    phone = world.device("phone")
    world.used(phone, 0, 1_000, at=int(time.time()) - 3 * 3600)
    world.run("cap", "set", "phone", "1GB/once")
    world.used(phone, 0, 300)
    assert world.json("usage", "--for", "phone", "--since", "once")["total"] == 300


@pytest.mark.parametrize(("target", "label"), [(("--for", "phone"), "device:phone"), ((), "plan")])
def test_since_once_needs_such_a_cap(world: World, target: tuple[str, ...], label: str) -> None:
    world.device("phone")
    said = f"{label} has no cap of VOLUME/once to count from: `tripgate cap list`"
    assert world.refused("usage", *target, "--since", "once") == (1, said)


@pytest.mark.parametrize("by", ["device", "host"])
def test_without_a_plan_every_question_begins_with_the_first_device(world: World, by: str) -> None:
    world.used(world.device("phone"), 1, 1)
    since = world.json("usage", "--by", by)["since"]
    first = world.book.devices["dev-0001"].created_at
    assert int(datetime.fromisoformat(since).timestamp()) >= first


@pytest.mark.parametrize("since", [(), ("--since", "1m")])
def test_hosts_count_from_the_beginning_of_the_day_and_say_so(
    world: World, since: tuple[str, ...]
) -> None:
    world.put(lambda book: add_device(book, "ip:10.0.0.9", 1, entropy="00000009", name="old")[0])
    world.used(next(iter(world.book.devices)), 1, 1)
    with gateway(world.state, clock="trusted"):
        world.run("plan", "set", "--start", "now")
        found = world.json("usage", "--by", "host", *since)
        said = world.run("usage", "--by", "host", *since)
    assert (found["total"], found["since"][10:]) == (2, "T00:00:00Z")
    assert "2 B since " + found["since"][:10] + " 00:00 UTC" in said
    assert "hosts are kept by day" in said
    assert "kept by day" not in world.run("usage", "--by", "service")


def used_by(document: dict[str, Any]) -> dict[str, int]:
    return {row["device"]: row["total"] for row in document["rows"]}


@pytest.mark.parametrize("since", [(), ("--since", "day"), ("--since", "1h")])
def test_what_a_merged_device_used_is_the_kept_one_s(world: World, since: tuple[str, ...]) -> None:
    phone, again = world.device("phone"), world.device("again")
    world.used(phone, 0, 1_000)
    world.used(again, 0, 300)
    world.run("device", "merge", "phone", "again")
    assert used_by(world.json("usage", *since)) == {"phone": 1_300}


def test_what_a_merged_device_used_counts_in_the_kept_one_s_caps(world: World) -> None:
    phone, again = world.device("phone"), world.device("again")
    world.run("cap", "set", "phone", "1MB/day")
    world.used(phone, 0, 1_000)
    world.used(again, 0, 300)
    world.run("device", "merge", "phone", "again")
    assert world.json("cap", "list")[0]["used"] == 1_300


def test_what_forgotten_devices_used_is_in_a_row_of_its_own(world: World) -> None:
    phone, tablet, laptop = (world.device(name) for name in ("phone", "tablet", "laptop"))
    for device in (phone, tablet, laptop):
        world.used(device, 0, 1_000)
    world.run("device", "forget", "tablet")
    world.run("device", "forget", "laptop")
    shown = used_by(world.json("usage", "--all"))
    assert shown == {"phone": 1_000, "(gateway)": 0, "(unattributed)": 0, "(forgotten)": 2_000}


@pytest.mark.parametrize("by", ["device", "service", "host"])
def test_what_only_all_shows_is_told_in_a_footnote(world: World, by: str) -> None:
    world.used(world.device("phone"), 0, 1_000)
    world.used(world.device("tablet"), 0, 50_000_000)
    asked = ("usage", "--by", by, "--since", "24h")
    assert "--all" not in world.run(*asked)
    world.run("device", "forget", "tablet")
    assert world.run(*asked).endswith("50 MB more with --all\n")
    found = world.json(*asked)
    assert (found["total"], found["left_out"]) == (1_000, 50_000_000)
    assert "more with" not in world.run(*asked, "--all")
    assert world.json(*asked, "--all")["left_out"] == 0
    assert "more with" not in world.run(*asked, "--for", "phone"), "they are not its bytes"


def test_all_adds_up_to_the_plan_s_use_after_a_device_was_forgotten(world: World) -> None:
    world.run("plan", "set", "--volume", "1GB", "--start", "2026-01-01")
    world.used(world.device("phone"), 0, 1_000)
    world.used(world.device("tablet"), 0, 500)
    world.run("device", "forget", "tablet")
    used = world.json("plan", "show")["used"]
    assert world.json("usage", "--all")["total"] == used == 1_500


@pytest.mark.parametrize("period", ["day", "week", "month", "trip"])
def test_since_takes_a_periods_name(family: World, period: str) -> None:
    assert family.json("usage", "--since", period)["total"] == 53_000


def test_a_day_begins_in_the_plans_zone(world: World) -> None:
    world.device("phone")
    world.run("plan", "set", "--tz", "Asia/Kolkata", "--start", "2026-01-01")
    since = world.json("usage", "--since", "day")["since"]
    assert since.endswith("T18:30:00Z")


def test_an_instant_without_a_zone_is_in_the_plans(world: World) -> None:
    world.device("phone")
    world.run("plan", "set", "--tz", "Asia/Kolkata", "--start", "2026-01-01")
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    since = world.json("usage", "--since", f"{day}T00:30")["since"]
    assert since.endswith("T19:00:00Z")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--by", "colour"), "'colour' is no list of dimensions: device, person, category, "),
        (("--by", ""), "'' is no list of dimensions: "),
        (("--by", "device,device"), "'device,device' is no list of dimensions: "),
        (("--by", "device,"), "'device,' is no list of dimensions: "),
        (("--by", "host,service"), "host goes with device and person only"),
        (
            ("--since", "yesterday"),
            "'yesterday' is no time to count from: day, week, month, trip, ",
        ),
        (("--since", "2h30"), "'2h30' is no time to count from: "),
        (("--since", "2026-02-30"), "'2026-02-30' is no time to count from: "),
        (("--since", "2099-01-01"), "lies in the future"),
    ],
)
def test_a_bad_question_is_a_usage_error(
    world: World, options: tuple[str, str], message: str
) -> None:
    code, line = world.refused("usage", *options)
    assert code == 2
    assert message in line
    assert line.endswith("(tripgate usage --help shows how)")


def test_a_full_house_over_two_years_is_read(world: World) -> None:
    def fill(book: Any) -> Any:
        for number in range(50):
            book, _ = add_device(book, f"ip:10.1.0.{number}", 1, entropy=f"{number:08x}")
        return book

    world.put(fill)
    document = world.json("usage", "--since", "2024-12-01")
    assert len(document["rows"]) == 50


def test_the_table_has_volumes_shares_and_what_they_mean(family: World) -> None:
    lines = family.run("usage", "--by", "person").splitlines()
    assert lines[0].split() == ["person", "up", "down", "total", "share"]
    assert lines[1].startswith("tom        0 B   40 kB  40 kB  #######···  75%")
    assert lines[3].startswith("-          0 B     0 B    0 B  ··········   0%")
    assert lines[-1].startswith("53 kB since ")
    assert lines[-1].endswith("bytes on the upstream connections; headers beside that 100 B")
