"""``tripgate advise``: the keys of its document; what is applied is exactly what is printed."""

import time

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tripgate.core.classify import Service
from tripgate.core.model import PLAN, Period, device_target

MB = 1_000_000
HOUR_S = 3600
CLOUD = Service("iCloud", "cloud-sync")
ADVICE = [
    {
        "id": str, "kind": str, "text": str, "command": str, "saved": int, "span": int,
        "longer": (int, None), "lasts": bool,
    }
]  # fmt: skip


@pytest.fixture
def family(world: World) -> World:
    """A phone that synchronised for two days."""
    phone, at = world.device("annas-phone"), int(time.time())
    for hour in range(48, 0, -1):
        world.used(phone, 20 * MB, 0, service=CLOUD, at=at - hour * HOUR_S)
    return world


def test_an_advice_has_an_id_an_estimate_and_a_command(family: World) -> None:
    made = family.json("advise")
    shapes.fits(made, ADVICE)
    (one,) = made
    assert (one["kind"], one["saved"]) == ("pause", 48 * 20 * MB)
    assert one["text"].startswith("pause cloud-sync on annas-phone: would have saved 960 MB of ")
    out = family.run("advise")
    assert one["id"] in out and one["command"] in out


def test_apply_does_exactly_the_printed_command(family: World) -> None:
    (one,) = family.json("advise")
    made = family.json("advise", "apply", one["id"])
    assert (made["verb"], made["what"], made["until"]) == ("pause", "cloud-sync", "unmetered")
    (policy,) = family.book.policies
    assert policy.target == device_target(next(iter(family.book.devices)))
    entry = family.json("audit")[0]
    assert (entry["action"], entry["detail"]) == (
        "policy pause",
        "pause cloud-sync for device:annas-phone",
    )
    assert entry["actor"].startswith("cli:")


def test_what_was_followed_is_stale_and_says_what_to_do(family: World) -> None:
    (one,) = family.json("advise")
    family.run("advise", "apply", one["id"])
    assert family.json("advise") == []
    code, line = family.refused("advise", "apply", one["id"])
    assert code == 1
    assert "`tripgate advise` shows what holds" in line
    assert len(family.book.policies) == 1


def test_an_id_is_stale_once_its_command_would_be_another(family: World) -> None:
    (one,) = family.json("advise")
    family.run("device", "name", "annas-phone", "phone")
    assert family.refused("advise", "apply", one["id"])[0] == 1
    assert family.book.policies == ()


def test_a_days_cap_is_set_by_the_command_of_caps(family: World) -> None:
    family.run("plan", "set", "--volume", "4GB", "--valid", "30d")
    (one,) = [one for one in family.json("advise") if one["kind"] == "cap"]
    family.run("advise", "apply", one["id"])
    cap = family.book.caps[PLAN, Period.DAY]
    assert one["command"] == f"tripgate cap set plan {cap.limit // MB}MB/day --at-cap essentials"
    assert cap.action == "essentials"


def test_nothing_is_advised_where_nothing_is_worth_it(world: World) -> None:
    world.used(world.device("phone"), MB, 0, service=CLOUD)
    assert world.json("advise") == []
    assert world.run("advise") == "nothing is worth changing, by the last 7 days\n"


@pytest.mark.parametrize("words", [("apply",), ("follow", "a-abcdef"), ("a-abcdef",)])
def test_other_words_are_a_usage_error(world: World, words: tuple[str, ...]) -> None:
    code, line = world.refused("advise", *words)
    assert code == 2
    assert "tripgate advise apply ID" in line


def test_an_unknown_id_is_refused(family: World) -> None:
    assert family.refused("advise", "apply", "a-000000")[0] == 1


def test_without_a_gateway_it_says_so(empty: World) -> None:
    assert empty.refused("advise")[0] == 3
