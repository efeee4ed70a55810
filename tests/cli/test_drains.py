"""``tripgate drains``: the keys of its document, what its options choose, and its command."""

import shlex
import time

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tripgate.core.classify import Service

MB = 1_000_000
HOUR_S = 3600
CLOUD = Service("iCloud", "cloud-sync")
VIDEO = Service("YouTube", "video")
DRAINS = {
    "since": shapes.Instant,
    "until": shapes.Instant,
    "rows": [
        {
            "device": str, "id": str, "service": str, "category": str, "since": shapes.Instant,
            "until": shapes.Instant, "bytes": int, "share": (float, None), "confidence": str,
            "why": str, "command": str,
        }
    ],
    "total": int,
}  # fmt: skip


@pytest.fixture
def family(world: World) -> World:
    """A phone that synchronised an hour ago, a tablet that did so five days ago."""
    at = int(time.time())
    world.used(world.device("phone", "anna"), 30 * MB, 10 * MB, service=CLOUD, at=at - HOUR_S)
    world.used(world.device("tablet"), 0, 5 * MB, at=at - 5 * 24 * HOUR_S)
    world.used(world.device("tv"), 0, 900 * MB, service=VIDEO)
    seen = {device.id: at for device in world.book.devices.values()}
    world.ledger(lambda ledger, _: ledger.settle([], seen, at))
    return world


def test_each_drain_is_a_row_the_largest_first(family: World) -> None:
    document = family.json("drains")
    shapes.fits(document, DRAINS)
    found = [(row["device"], row["service"], row["bytes"]) for row in document["rows"]]
    assert found == [("phone", "iCloud", 40 * MB), ("tablet", "Windows Update", 5 * MB)]
    assert document["total"] == 45 * MB


def test_the_share_is_of_the_plans_volume(family: World) -> None:
    assert {row["share"] for row in family.json("drains")["rows"]} == {None}
    family.json("plan", "set", "--volume", "1GB")
    assert [row["share"] for row in family.json("drains")["rows"]] == [0.04, 0.005]
    assert "4.0%" in family.run("drains")


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        (("--for", "phone"), ["phone"]),
        (("--for", "person:anna"), ["phone"]),
        (("--for", "plan"), ["phone", "tablet"]),
        (("--since", "24h"), ["phone"]),
        (("--since", "trip"), ["phone", "tablet"]),
    ],
)
def test_options_choose(family: World, options: tuple[str, ...], devices: list[str]) -> None:
    assert [row["device"] for row in family.json("drains", *options)["rows"]] == devices


def test_the_command_is_one_that_pauses_exactly_that(family: World) -> None:
    row = family.json("drains", "--for", "phone")["rows"][0]
    program, *words = shlex.split(row["command"])
    assert program == "tripgate"
    made = family.json(*words)
    assert (made["verb"], made["what"], made["target"]) == ("pause", "iCloud", "device:phone")


def test_a_service_that_the_catalogue_does_not_know_is_paused_by_its_category(
    family: World,
) -> None:
    (phone,) = (one for one in family.book.devices.values() if one.name == "phone")
    family.used(phone.id, 0, 2 * MB, service=Service("gone since", "telemetry"))
    commands = [row["command"] for row in family.json("drains")["rows"]]
    assert "tripgate policy pause telemetry --for device:phone --until unmetered" in commands


def test_the_table_says_what_pauses_it(family: World) -> None:
    out = family.run("drains")
    assert "tripgate policy pause icloud --for device:phone --until unmetered" in out
    assert "YouTube" not in out


def test_without_drains_it_says_so(world: World) -> None:
    assert world.json("drains")["rows"] == []
    assert world.run("drains").startswith("no drain of 1 MB or more since ")


def test_what_cannot_be_read_is_refused(world: World) -> None:
    assert world.refused("drains", "--since", "yesterday")[0] == 2
    assert world.refused("drains", "--for", "nobody")[0] == 1


def test_without_a_gateway_it_says_so(empty: World) -> None:
    assert empty.refused("drains")[0] == 3
