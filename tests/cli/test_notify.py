"""``tripgate notify``: keys of its documents, where the secret is and where it never is."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli import shapes
from tests.cli.conftest import World
from tests.notify.receiver import receiver
from tripgate.cli.app import create_app

CHANNEL = {"id": str, "kind": str, "where": str, "created_at": shapes.Instant, "state": str}
TESTED = {"id": str, "where": str, "arrived": bool, "result": str}
SECRET = "SECRETSECRET"
URL = f"https://h.example/hooks/{SECRET}"


def secrets_in(world: World) -> list[Path]:
    """The files of the state folder that hold it."""
    files = (one for one in world.state.rglob("*") if one.is_file())
    return [one for one in files if SECRET.encode() in one.read_bytes()]


def test_add_and_list_show_where_and_no_secret(world: World) -> None:
    made = world.json("notify", "add", URL)
    shapes.fits(made, CHANNEL)
    assert (made["id"], made["kind"], made["where"]) == ("n1", "webhook", "https://h.example/…")
    assert world.json("notify", "list") == [made]
    for out in (world.run("notify", "list"), world.run("audit"), json.dumps(world.json("audit"))):
        assert SECRET not in out
    assert "n1 https://h.example/…" in world.run("audit")


def test_the_secret_is_in_one_file_that_its_owner_alone_reads(world: World) -> None:
    world.run("notify", "add", URL)
    (file,) = secrets_in(world)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_secret_is_not_in_the_ledger_nor_in_a_backup(world: World, tmp_path: Path) -> None:
    import gzip

    world.run("notify", "add", URL)
    assert SECRET not in repr(world.book)
    file = tmp_path / "b.tripgate"
    world.run("backup", str(file))
    assert SECRET.encode() not in gzip.decompress(file.read_bytes())


def test_a_dash_reads_the_secret_from_stdin_where_no_history_keeps_it(world: World) -> None:
    words = ["notify", "add", "-", "--state", str(world.state)]
    done = CliRunner().invoke(create_app(lambda _: 0), words, input=f"{URL}\n")
    assert (done.exit_code, len(secrets_in(world))) == (0, 1)
    assert SECRET not in done.output


def test_remove_takes_the_secret_with_it(world: World) -> None:
    world.run("notify", "add", URL)
    assert world.json("notify", "remove", "n1") == []
    assert secrets_in(world) == []
    assert world.refused("notify", "remove", "n1")[0] == 1


def test_the_same_url_is_added_once(world: World) -> None:
    world.run("notify", "add", URL)
    code, line = world.refused("notify", "add", URL)
    assert (code, line) == (1, "messages go there already: it is n1")
    assert len(secrets_in(world)) == 1


def test_the_ninth_channel_is_refused_and_leaves_no_secret(world: World) -> None:
    for number in range(8):
        world.run("notify", "add", f"https://h.example/{number}")
    assert world.refused("notify", "add", URL)[0] == 1
    assert secrets_in(world) == []


@pytest.mark.parametrize("url", [f"ftp://{SECRET}", f"tgram://{SECRET}/1", SECRET])
def test_what_is_no_url_is_a_usage_error_that_repeats_nothing(world: World, url: str) -> None:
    code, line = world.refused("notify", "add", url)
    assert code == 2
    assert SECRET not in line
    assert world.book.messages.channels == ()


def test_test_says_that_it_arrived(world: World) -> None:
    with receiver() as server:
        world.run("notify", "add", server.url)
        rows = world.json("notify", "test")
        assert server.texts == ["a test: messages arrive here"]
    shapes.fits(rows, [TESTED])
    assert (rows[0]["arrived"], rows[0]["result"]) == (True, "arrived")


def test_test_says_what_was_wrong_and_fails(world: World) -> None:
    with receiver(404) as server:
        world.run("notify", "add", server.url)
        done = world.cli("notify", "test")
    assert done.code == 1
    assert "127.0.0.1 answered 404" in done.out
    assert "SECRET" not in done.out + done.err


def test_test_without_a_channel_says_what_to_do(world: World) -> None:
    assert world.refused("notify", "test") == (1, "there is no channel: tripgate notify add URL")


def test_a_url_that_is_not_there_is_said_to_be_missing(world: World) -> None:
    world.run("notify", "add", URL)
    (file,) = secrets_in(world)
    file.unlink()
    assert "remove it and add it again" in world.json("notify", "list")[0]["state"]
    assert "remove it and add it again" in world.cli("notify", "test").out


def test_without_a_gateway_it_says_so_and_keeps_nothing(empty: World) -> None:
    assert empty.refused("notify", "add", URL)[0] == 3
    assert not empty.state.exists()
