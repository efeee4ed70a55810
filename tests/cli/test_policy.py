"""``tripgate policy``: strict parsing, the keys of its documents, what stands in the book."""

import time
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tripgate.core.book import Book
from tripgate.core.model import PLAN, person_target
from tripgate.core.policy import Verb
from tripgate.core.policybook import PRESETS

POLICY = {
    "id": str, "verb": str, "what": str, "target": str, "rate": (int, None),
    "until": (shapes.Instant, str, None), "daily": (str, None), "preset": (str, None),
    "created_at": shapes.Instant, "attempts": int, "hosts": [str],
    "saved": (int, None),
}  # fmt: skip


@pytest.fixture
def family(world: World) -> World:
    world.device("phone", "maria")
    return world


def test_pause_prints_the_policy_and_the_list_has_it(family: World) -> None:
    made = family.json("policy", "pause", "os-update", "--for", "maria", "--daily", "22:00-07:00")
    shapes.fits(made, POLICY)
    assert (made["verb"], made["what"], made["target"]) == ("pause", "os-update", "person:maria")
    assert (made["until"], made["daily"]) == (None, "22:00-07:00")
    assert family.json("policy", "list") == [made]
    (policy,) = family.book.policies
    assert (policy.target, policy.daily) == (person_target("maria"), (22 * 60, 7 * 60))


def test_throttle_keeps_the_rate_in_bits(family: World) -> None:
    assert family.json("policy", "throttle", "video", "--rate", "500kbit")["rate"] == 500_000


def test_a_service_is_found_by_its_slug(family: World) -> None:
    made = family.json("policy", "allow", "windows-update", "--until", "unmetered")
    assert (made["what"], made["until"]) == ("Windows Update", "unmetered")


def test_the_same_thing_for_the_same_target_is_replaced(family: World) -> None:
    family.json("policy", "pause", "video")
    family.json("policy", "allow", "video")
    assert [one.verb for one in family.book.policies] == [Verb.ALLOW]


def test_clear_removes_one(family: World) -> None:
    first = family.json("policy", "pause", "video")
    family.json("policy", "pause", "games")
    assert [one["what"] for one in family.json("policy", "clear", first["id"])] == ["games"]


def test_the_preset_travel_comes_and_goes_and_leaves_others_alone(family: World) -> None:
    family.json("policy", "pause", "video")
    listed = family.json("policy", "preset", "travel")
    assert [one["what"] for one in listed] == ["video", *PRESETS["travel"]]
    assert {one["until"] for one in listed if one["preset"]} == {"unmetered"}
    assert {one.target for one in family.book.policies} == {PLAN}
    assert [one["what"] for one in family.json("policy", "preset", "none")] == ["video"]


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "no-such-thing"),
        ("pause", "video", "--until", "tomorrow"),
        ("pause", "video", "--until", "2020-01-01"),
        ("pause", "video", "--daily", "22-7"),
        ("throttle", "video"),
        ("throttle", "video", "--rate", "fast"),
        ("preset", "holiday"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(family: World, words: tuple[str, ...]) -> None:
    assert family.refused("policy", *words)[0] == 2
    assert family.book.policies == ()


@pytest.mark.parametrize("words", [("pause", "video", "--for", "nobody"), ("clear", "p9")])
def test_what_is_not_there_is_refused(family: World, words: tuple[str, ...]) -> None:
    assert family.refused("policy", *words)[0] == 1


def test_the_list_says_what_each_has_saved_by_the_services_own_past(family: World) -> None:
    device = next(iter(family.book.devices))
    at = int(time.time())
    for hours in range(30, 78):
        family.used(device, 0, 1_000_000, at=at - hours * 3600)
    family.json("policy", "pause", "os-update")

    def day_ago(book: Book) -> Book:
        return replace(book, policies=(replace(book.policies[0], created_at=at - 24 * 3600),))

    family.put(day_ago)
    (policy,) = family.json("policy", "list")
    begun = (at - 24 * 3600) // 3600 * 3600
    assert policy["saved"] == pytest.approx(48_000_000 * (at - begun) / (53 * 3600), rel=0.001)


@pytest.mark.parametrize(("hours", "code"), [(1, 0), (-1, 2)])
def test_an_end_is_past_or_not_in_the_plans_zone(family: World, hours: int, code: int) -> None:
    """In Honolulu it is ten hours earlier than in UTC: there, an hour from now is not past."""
    family.run("plan", "set", "--tz", "Pacific/Honolulu")
    there = datetime.now(ZoneInfo("Pacific/Honolulu")) + timedelta(hours=hours)
    done = family.cli("policy", "pause", "games", "--until", there.strftime("%Y-%m-%dT%H:%M"))
    assert done.code == code
    assert ("is in the past" in done.err) == (code == 2)
