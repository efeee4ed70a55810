"""``tripgate person``: adding, listing, removing."""

import pytest

from tests.cli import shapes
from tests.cli.conftest import World


def test_a_person_is_added_and_listed_with_devices_use_and_caps(world: World) -> None:
    shapes.fits(world.json("person", "add", "maria"), shapes.PERSON)
    phone = world.device("phone", "maria")
    world.device("camera", "maria")
    world.used(phone, 10, 20)
    world.run("cap", "set", "maria", "1GB/week")
    (row,) = world.json("person", "list")
    shapes.fits(row, shapes.PERSON)
    assert (row["name"], row["devices"], row["used_today"]) == ("maria", ["camera", "phone"], 30)
    assert [(cap["period"], cap["used"]) for cap in row["caps"]] == [("week", 30)]


def test_people_are_listed_by_name_in_a_table(world: World) -> None:
    world.run("person", "add", "tom")
    world.run("person", "add", "maria")
    heading, *rows = world.run("person", "list").splitlines()
    assert heading.split() == ["person", "devices", "today", "caps"]
    assert [row.split() for row in rows] == [
        ["maria", "-", "0", "B", "-"],
        ["tom", "-", "0", "B", "-"],
    ]


def test_an_empty_list_says_what_to_do(world: World) -> None:
    assert world.run("person", "list") == "no people yet: tripgate person add NAME\n"
    assert world.json("person", "list") == []


def test_a_person_without_devices_is_removed_with_the_caps(world: World) -> None:
    world.run("person", "add", "maria")
    world.run("cap", "set", "maria", "1GB/week")
    assert world.json("person", "remove", "maria") == {"removed": "maria"}
    assert (world.book.people, world.book.caps) == ({}, {})
    assert [row["action"] for row in world.json("audit")] == [
        "person remove",
        "cap set",
        "person add",
    ]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("add", "maria"), "there is a person maria already"),
        (("add", "Maria"), "'Maria' is no name: use 1 to 32 of a-z, 0-9 and -"),
        (("add", ""), "'' is no name: use 1 to 32 of a-z, 0-9 and -"),
        (("remove", "tom"), "no person 'tom': `tripgate person list` shows them"),
        (("remove", "maria"), "maria still has phone: forget or re-assign them first"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    world: World, command: tuple[str, ...], message: str
) -> None:
    world.device("phone", "maria")
    assert world.refused("person", *command) == (1, message)
