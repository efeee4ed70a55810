"""``give``, ``lend`` and ``request``: limits move, use does not, and the audit tells."""

from dataclasses import replace
from typing import Any

import pytest

from tests.cli.conftest import World
from tripgate.core.limits import credit
from tripgate.core.model import PLAN, Request, device_target

MB = 1_000_000


@pytest.fixture
def family(world: World) -> World:
    """phone and tablet with 10 MB a day each; the phone has used 4 MB."""
    world.device("phone", "maria")
    world.device("tablet", "maria")
    for name in ("phone", "tablet"):
        world.json("cap", "set", name, "10MB/day")
    world.used(next(iter(world.book.devices)), MB, 3 * MB)
    return world


def caps(world: World) -> dict[str, tuple[int, int, int]]:
    return {
        cap["target"]: (cap["limit"], cap["used"], cap["remaining"])
        for cap in world.json("cap", "list")
    }


def test_give_raises_the_limit_and_leaves_the_use(family: World) -> None:
    family.json("give", "phone", "5MB")
    assert caps(family)["device:phone"] == (15 * MB, 4 * MB, 11 * MB)


@pytest.mark.parametrize(
    ("gift", "says"),
    [("5MB", "31.1 MB more are needed before phone may go on (day cap)"), ("40MB", "")],
)
def test_a_gift_that_is_too_small_says_what_is_needed(family: World, gift: str, says: str) -> None:
    family.used(next(iter(family.book.devices)), 0, 42 * MB)
    said = family.run("give", "phone", gift)
    assert says in said
    assert ("needed" in said) is bool(says)
    assert (caps(family)["device:phone"][2] == 0) is bool(says)
    family.run("give", "phone", "31.1MB")
    (cap,) = (cap for cap in family.json("cap", "list") if cap["target"] == "device:phone")
    assert (cap["needed"], cap["reached"]) == (0, False)


def test_lend_moves_allowance(family: World) -> None:
    family.json("lend", "phone", "tablet", "6MB")
    assert caps(family) == {
        "device:phone": (4 * MB, 4 * MB, 0),
        "device:tablet": (16 * MB, 0, 16 * MB),
    }


def test_nobody_lends_what_is_not_left(family: World) -> None:
    code, line = family.refused("lend", "phone", "tablet", "7MB")
    assert (code, "only 6 MB left" in line) == (1, True)
    assert family.book.credits == ()


def test_without_a_cap_there_is_nothing_to_raise(family: World) -> None:
    assert family.refused("give", "maria", "1MB")[0] == 1


def test_a_gift_is_audited(family: World) -> None:
    family.json("give", "phone", "5MB")
    newest = family.json("audit")[0]
    assert (newest["action"], newest["detail"]) == ("give", "device:phone 5MB")


@pytest.mark.parametrize(("reply", "limit"), [("yes", 12 * MB), ("no", 10 * MB)])
def test_an_answer_gives_or_does_not(family: World, reply: str, limit: int) -> None:
    phone = device_target(next(iter(family.book.devices)))
    asked = Request("r1", phone, 2 * MB, 1_800_000_000, "a map")
    family.put(lambda book: replace(book, requests=(asked,)))
    assert family.json("request", "list")[0]["answer"] is None
    family.json("request", "answer", "r1", reply)
    assert family.json("request", "list")[0]["answer"] == reply
    assert caps(family)["device:phone"][0] == limit
    assert family.refused("request", "answer", "r1", reply)[0] == 1


def capped(family: World) -> dict[str, Any]:
    (cap,) = [cap for cap in family.json("cap", "list") if cap["target"] == "device:phone"]
    return {key: cap[key] for key in ("limit", "given")}


def test_a_gift_is_told_beside_the_limit(family: World) -> None:
    before = capped(family)["limit"]
    family.run("give", "phone", "5MB")
    assert capped(family) == {"limit": before + 5_000_000, "given": 5_000_000}
    assert "(5 MB given)" in family.run("cap", "list")


def test_what_was_lent_is_told_beside_the_limit(family: World) -> None:
    family.run("lend", "phone", "tablet", "1MB")
    assert capped(family)["given"] == -1_000_000
    assert "(1 MB lent)" in family.run("cap", "list")


def test_a_cap_that_is_set_anew_replaces_what_was_given(family: World) -> None:
    family.run("give", "phone", "5MB")
    family.run("cap", "set", "phone", "2MB/day")
    assert capped(family) == {"limit": 2_000_000, "given": 0}


def test_a_cap_that_was_cleared_and_set_again_has_no_gift(family: World) -> None:
    family.run("give", "phone", "5MB")
    family.run("cap", "clear", "phone")
    family.run("cap", "set", "phone", "2MB/day")
    assert capped(family) == {"limit": 2_000_000, "given": 0}


def test_a_gift_after_the_cap_was_set_anew_counts(family: World) -> None:
    family.run("give", "phone", "5MB")
    family.run("cap", "set", "phone", "2MB/day")
    family.run("give", "phone", "3MB")
    assert capped(family) == {"limit": 5_000_000, "given": 3_000_000}


def test_a_cap_of_another_period_keeps_its_gift(family: World) -> None:
    family.run("cap", "set", "phone", "50MB/week")
    family.run("give", "phone", "5MB")
    family.run("cap", "set", "phone", "2MB/day")
    limits = {cap["period"]: cap["limit"] for cap in family.json("cap", "list")}
    assert limits["week"] == 55_000_000


def test_the_plan_s_volume_keeps_its_gift_when_a_cap_on_it_is_set(family: World) -> None:
    family.run("plan", "set", "--volume", "10MB")
    family.run("give", "plan", "5MB")
    family.run("cap", "set", "plan", "20MB/trip")
    (gift,) = [one for one in family.book.credits if one.target == PLAN]
    assert credit(family.book, PLAN, 0) == gift.volume == 5_000_000
