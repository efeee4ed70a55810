"""README and docs: every setting is told, every link leads somewhere, every command exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import docs.cli
import docs.configuration
from tripgate.cli.app import create_app
from tripgate.settings import SECTIONS, Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "grafana/README.md", *(ROOT / "docs").glob("*.md")],
    key=str,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# In a block of code, or between backticks: a command line of ours.
BLOCK = re.compile(r"^    (?:sudo )?(?:\.venv/bin/)?(tripgate .*)$", re.M)
INLINE = re.compile(r"`(?:sudo )?(?:\.venv/bin/)?(tripgate [^`]+)`")
SCRIPT = re.compile(r"(?:^    |`)(?:sudo )?(?:\./)?((?:deploy|tests)/[a-z/.-]+)([^`\n#]*)", re.M)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def found(pattern: re.Pattern[str]) -> list[Any]:
    """What the pages have of it, each once, with the page that has it first."""
    all_of = {
        match: page for page in reversed(PAGES) for match in pattern.findall(page.read_text())
    }
    return [
        pytest.param(page, match, id=f"{name_of(page)}: {match}")
        for match, page in sorted(all_of.items())
    ]


# ---- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - set(SECTIONS)))
def test_every_option_is_told(name: str) -> None:
    assert f"`--{name}`" in docs.configuration.text()


@pytest.mark.parametrize(
    "name",
    [f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields],
)
def test_every_setting_of_a_section_is_told(name: str) -> None:
    assert f"`{name}`" in docs.configuration.text()


@pytest.mark.parametrize("module", [docs.cli, docs.configuration], ids=["cli", "configuration"])
def test_a_generated_page_is_as_generated(module: Any) -> None:
    page = Path(module.__file__).with_suffix(".md")
    assert page.read_text() == module.text(), f"run: python -m {module.__name__}"


# ---- links -----------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """As the sites that show Markdown make them of headings."""
    heads = re.findall(r"^#+ +(.*)$", page.read_text(), re.M)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {one.replace(" ", "-") for one in plain}


@pytest.mark.parametrize(("page", "target"), found(LINK))
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    if re.match(r"[a-z]+:", target):
        assert target.startswith("https://")
        return
    path, _, anchor = target.partition("#")
    led = (page.parent / path).resolve() if path else page
    assert led.exists()
    assert not anchor or anchor in anchors(led)


def test_every_page_is_in_the_table_of_contents() -> None:
    told = set(LINK.findall((ROOT / "docs/README.md").read_text()))
    pages = {page.name for page in PAGES if page.parent.name == "docs"} - {"README.md"}
    assert pages <= told


# ---- commands --------------------------------------------------------------------------------

COMMANDS = dict(docs.cli.commands(typer.main.get_command(create_app(lambda _: 0))))


def command_of(words: list[str]) -> tuple[Any, list[str]] | None:
    """The command that the words begin with, and the rest of them."""
    for length in range(len(words), 1, -1):
        command = COMMANDS.get(" ".join(words[:length]))
        if command is not None:
            return command, words[length:]
    return None


def options_in(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("--"):
            yield word.partition("=")[0]


def is_example(line: str) -> bool:
    """Not a form such as ``tripgate COMMAND --help``, nor a group alone."""
    words = line.split()
    return not words[1].isupper() and not words[1].startswith("-")


@pytest.mark.parametrize(("page", "line"), [*found(BLOCK), *found(INLINE)])
def test_a_command_is_one_that_there_is(page: Path, line: str) -> None:
    if not is_example(line):
        return
    words = shlex.split(line, comments=True)
    groups = {name.rpartition(" ")[0] for name in COMMANDS} - {"tripgate"}
    if " ".join(words) in groups:
        return
    seen = command_of(words)
    assert seen, "no such command"
    command, rest = seen
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    assert set(options_in(rest)) <= known | {"--help", "--json", "--state"}


@pytest.mark.parametrize(("page", "script"), found(SCRIPT))
def test_a_script_is_there_and_knows_its_options(page: Path, script: tuple[str, str]) -> None:
    path, rest = script
    if "/secrets" in path:
        return  # made by deploy/compose/configure
    file = ROOT / path.rstrip("./")
    assert file.exists()
    if not file.is_file():
        return
    # deploy/up hands its options on to `tripgate up`
    command = COMMANDS["tripgate up"]
    up = {name for one in command.params for name in one.opts} if path == "deploy/up" else set()
    text = file.read_text()
    unknown = [one for one in options_in(rest.split()) if one not in up and one not in text]
    assert unknown == []
