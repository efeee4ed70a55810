"""The program as a whole: help with examples, usage errors, where the state folder comes from."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tests.running import environment
from tripgate import __version__
from tripgate.cli.app import create_app

IMPORT_MOST_S = 1.0  # measured at 0.25 s; a slow machine with neighbours gets four times that
COMMANDS = (
    "up", "status", "doctor", "usage", "audit", "backup", "restore",
    "device list", "device show", "device name", "device approve", "device block",
    "device forget", "device merge", "device proxy-user",
    "person add", "person list", "person remove",
    "plan set", "plan remove", "plan show", "cap set", "cap list", "cap clear",
    "admin claim", "admin enroll", "admin reset",
    "router plan", "router apply", "router remove",
    "policy pause", "policy allow", "policy throttle", "policy list", "policy clear",
    "policy preset", "plan forecast", "plan list", "give", "lend", "request list", "request answer",
    "uplink show", "uplink metered", "uplink unmetered", "uplink login",
    "plan compare", "reconcile add", "reconcile report", "reconcile export",
    "drains", "advise", "notify add", "notify list", "notify test", "notify remove",
)  # fmt: skip


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its path."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def tree() -> dict[str, Any]:
    return dict(commands(typer.main.get_command(create_app(lambda settings: 0))))


def examples(epilog: str | None) -> list[str]:
    return [line.removeprefix("Example: ") for line in (epilog or "").split("\n\n")]


def python(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python on this checkout."""
    return subprocess.run(
        [sys.executable, *words],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_are_those_of_the_contract() -> None:
    assert sorted(tree()) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_of_its_own(empty: World, command: str) -> None:
    done = empty.cli(*command.split(), "--help", state=False)
    assert (done.code, done.err) == (0, "")
    assert f"Example: tripgate {command}" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_json_but_the_one_that_runs_the_gateway(command: str) -> None:
    options = {option for param in tree()[command].params for option in param.opts}
    assert ("--json" in options) is (command != "up")
    assert "--state" in options


def test_every_example_is_a_command_that_can_be_typed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world.run("person", "add", "maria")
    world.device("phone", "maria")
    for command in tree().values():
        for example in examples(command.epilog):
            program, *words = shlex.split(example)
            assert program == "tripgate"
            if words[0] == "router":
                words += ["--root", str(tmp_path)]  # never this machine's own files
            if "--watch" not in words:
                done = world.cli(*words)
                assert done.code != 2, (example, done.err)


def test_the_program_alone_shows_its_help(empty: World) -> None:
    alone, asked = empty.cli(state=False), empty.cli("--help", state=False)
    assert (alone.code, alone.out, alone.err) == (0, asked.out, "")
    assert "Example: tripgate cap set phone 500MB/day" in alone.out


def test_version(empty: World) -> None:
    assert empty.cli("--version", state=False).out == f"tripgate {__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("nonsense",), "no such command 'nonsense' (tripgate --help shows how)"),
        (
            ("devicd",),
            "no such command 'devicd'. Did you mean 'device'? (tripgate --help shows how)",
        ),
        (("device",), "missing command (tripgate device --help shows how)"),
        (("device", "drop"), "no such command 'drop' (tripgate device --help shows how)"),
        (("device", "show"), "missing argument 'NAME' (tripgate device show --help shows how)"),
        (
            ("device", "list", "--wide"),
            "no such option: --wide (tripgate device list --help shows how)",
        ),
        (
            ("cap", "list", "x"),
            "got unexpected extra argument(s) (x) (tripgate cap list --help shows how)",
        ),
        (("usage", "--by"), "option '--by' requires an argument (tripgate --help shows how)"),
        (
            ("usage", "--json", "--watch"),
            "invalid value for --watch: --watch is for people: leave out --json "
            "(tripgate usage --help shows how)",
        ),
        (
            ("status", "--json", "--watch"),
            "invalid value for --watch: --watch is for people: leave out --json "
            "(tripgate status --help shows how)",
        ),
        (("a\x1b[2Jb\nc",), "no such command 'a\\x1b[2Jb\\nc' (tripgate --help shows how)"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(
    empty: World, words: tuple[str, ...], line: str
) -> None:
    done = empty.cli(*words, state=False)
    assert (done.code, done.out, done.err) == (2, "", f"tripgate: {line}\n")


@pytest.mark.parametrize(
    "command",
    [
        command
        for command in COMMANDS
        if command not in ("up", "doctor", "restore") and not command.startswith("router ")
    ],
)
def test_without_a_gateway_every_command_is_exit_code_3(empty: World, command: str) -> None:
    words = {
        "backup": ("x",),
        "device name": ("a", "b"),
        "device merge": ("a", "b"),
        "device proxy-user": ("a",),
        "plan set": ("--volume", "1GB"),
        "cap set": ("a", "1GB/day"),
        "cap clear": ("a",),
        "policy pause": ("video",),
        "policy allow": ("video",),
        "policy throttle": ("video", "--rate", "1Mbit"),
        "policy clear": ("p1",),
        "policy preset": ("travel",),
        "give": ("a", "1GB"),
        "lend": ("a", "b", "1GB"),
        "request answer": ("r1", "yes"),
        "plan compare": (str(Path(__file__).parents[2] / "docs/offers.toml"),),
        "reconcile add": ("1GB",),
        "reconcile export": ("x",),
        "notify add": ("ntfy://annas-van",),
    }
    needs_name = command.split()[-1] in ("show", "approve", "block", "forget", "add", "remove")
    default = ("a",) if needs_name and command not in ("plan show", "uplink show") else ()
    code, line = empty.refused(*command.split(), *words.get(command, default))
    assert (code, line) == (
        3,
        f"no gateway is running for {empty.state}: start it with ./deploy/up",
    )


def test_a_redis_that_does_not_answer_is_exit_code_3(world: World, tmp_path: Path) -> None:
    (world.state / "redis.url").write_text(f"unix://{tmp_path}/gone.sock\n")
    code, line = world.refused("device", "list")
    assert code == 3
    assert line.startswith(f"Redis at unix://{tmp_path}/gone.sock does not answer: ")


def test_settings_of_a_newer_version_are_refused(world: World) -> None:
    async def newer(ledger: Any, _: Any) -> None:
        await ledger._connection.redis.set("{plan}:schema", "99")

    world.ledger(newer)
    code, line = world.refused("device", "list")
    assert (code, line.split(":")[0]) == (
        1,
        "the ledger was written by a newer tripgate (schema 99, this one knows 2)",
    )


@pytest.mark.parametrize("key", ["book", "version"])
def test_a_damaged_ledger_is_one_line(world: World, key: str) -> None:
    async def damage(ledger: Any, _: Any) -> None:
        await ledger._connection.redis.set(f"{{plan}}:{key}", "{")

    world.ledger(damage)
    code, line = world.refused("device", "list")
    assert code == 3
    assert "restore a backup" in line


# -- where the state folder comes from -----------------------------------------------------------


def test_state_works_before_and_after_the_command_and_in_the_environment(world: World) -> None:
    world.device("phone")
    where = str(world.state)
    after = world.cli("device", "list", "--state", where, state=False)
    before = world.cli("--state", where, "device", "list", state=False)
    variable = world.cli("device", "list", state=False, TRIPGATE_STATE=where)
    assert after.code == 0
    assert "phone" in after.out
    assert before == variable == after


def test_the_option_nearer_to_the_command_wins(world: World, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    words = ("--state", other, "device", "list", "--state", str(world.state))
    assert world.cli(*words, state=False, TRIPGATE_STATE=other).code == 0
    assert world.cli("--state", other, "device", "list", state=False).code == 3


def test_the_users_own_folder_is_found_without_an_option(world: World) -> None:
    home = world.state.parent / "xdg"
    home.mkdir()
    world.state.rename(home / "tripgate")
    done = world.cli("device", "list", state=False, XDG_STATE_HOME=str(home))
    assert (done.code, done.err) == (0, "")


# -- the process ---------------------------------------------------------------------------------


def test_the_real_program_prints_one_json_document_and_nothing_else(world: World) -> None:
    world.device("phone")
    done = python("-m", "tripgate", "device", "list", "--json", "--state", str(world.state))
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["name"] for row in json.loads(done.stdout)] == ["phone"]


def test_the_real_program_fails_with_one_line_and_its_code(empty: World) -> None:
    done = python("-m", "tripgate", "status", "--state", str(empty.state))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"tripgate: no gateway is running for {empty.state}: start it with ./deploy/up\n"
    )


def test_a_reader_that_has_enough_ends_it_without_a_traceback(world: World) -> None:
    for number in range(3):
        world.run("person", "add", f"p{number}")
    command = [sys.executable, "-m", "tripgate", "audit", "--state", str(world.state)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 1


def test_a_terminal_without_unicode_gets_escapes(world: World) -> None:
    world.run("plan", "set", "--price", "25 \u20ac")
    words = ("-m", "tripgate", "plan", "show", "--state", str(world.state))
    done = python(*words, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "price    25 \\u20ac\n" in done.stdout


def test_the_cli_never_imports_mitmproxy_and_help_imports_neither_redis_nor_rich() -> None:
    code = (
        "import sys; from tripgate.cli.app import create_app; create_app(lambda settings: 0);"
        "print(sorted({'mitmproxy', 'redis', 'rich', 'pydantic', 'pydantic_settings'}"
        " & set(sys.modules)))"
    )
    assert python("-c", code).stdout == "[]\n"


def test_importing_the_cli_is_quick() -> None:
    code = "import tripgate.cli.app"
    python("-c", code)
    began = time.monotonic()
    assert python("-c", code).returncode == 0
    assert time.monotonic() - began < IMPORT_MOST_S


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_there(shell: str) -> None:
    words = ("-m", "tripgate", "--show-completion", shell)
    done = python(*words, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    assert "_TRIPGATE_COMPLETE=complete_" + shell in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tripgate dev", ["device"]),
        ("tripgate device show p", ["phone"]),
        ("tripgate device approve phone --person m", ["maria"]),
        ("tripgate cap set per", ["person:maria"]),
        ("tripgate cap set p", ["phone", "person:maria", "plan"]),
    ],
)
def test_completion_knows_commands_and_the_names_in_the_ledger(
    world: World, words: str, expected: list[str]
) -> None:
    world.device("phone", "maria")
    done = complete(words, TRIPGATE_STATE=str(world.state))
    assert (done.stderr, done.stdout.split()) == ("", expected)


def test_completion_without_a_gateway_offers_nothing_and_says_nothing(empty: World) -> None:
    done = complete("tripgate device show ", TRIPGATE_STATE=str(empty.state))
    assert (done.stdout.strip(), done.stderr) == ("", "")


def complete(words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What bash would be offered for the last of ``words``."""
    return python(
        "-m",
        "tripgate",
        _TRIPGATE_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
        **variables,
    )


def test_status_needs_no_redis(empty: World) -> None:
    with gateway(empty.state, ledger="down"):
        assert empty.json("status")["ledger"] == "down"


@pytest.mark.parametrize(
    "group", ["admin", "cap", "device", "person", "plan", "policy", "request", "router"]
)
def test_the_help_of_a_group_has_an_example(empty: World, group: str) -> None:
    assert f"Example: tripgate {group} " in empty.cli(group, "--help", state=False).out
