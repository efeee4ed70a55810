"""``tripgate audit``: newest first, as many as asked."""

import pytest

from tests.cli import shapes
from tests.cli.conftest import World


def test_entries_come_newest_first(world: World) -> None:
    for name in ("maria", "tom", "eva"):
        world.run("person", "add", name)
    entries = world.json("audit")
    shapes.fits(entries, [shapes.AUDIT])
    assert [entry["detail"] for entry in entries] == ["eva", "tom", "maria"]


def test_count_bounds_them(world: World) -> None:
    for name in ("maria", "tom", "eva"):
        world.run("person", "add", name)
    assert [entry["detail"] for entry in world.json("audit", "--count", "2")] == ["eva", "tom"]


def test_the_table_has_a_row_each(world: World) -> None:
    world.run("person", "add", "maria")
    heading, row = world.run("audit").splitlines()
    assert heading.split() == ["when", "who", "what", "detail"]
    assert row.split()[-3:] == ["person", "add", "maria"]


def test_no_changes_yet_is_said(world: World) -> None:
    assert world.run("audit") == "no changes yet\n"
    assert world.json("audit") == []


@pytest.mark.parametrize("count", ["0", "10001", "many"])
def test_a_bad_count_is_a_usage_error(world: World, count: str) -> None:
    code, line = world.refused("audit", "--count", count)
    assert code == 2
    assert line.startswith("invalid value for '--count': Input should be ")
