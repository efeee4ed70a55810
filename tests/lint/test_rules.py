"""The linter rules hold for the shipped tree, and each is seen to fail on a planted violation."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
Run = Callable[[Path], subprocess.CompletedProcess[str]]


def ruff(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "ruff", "check", "--no-cache", "--output-format=concise", "addons"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def import_rules(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "lint-imports", "--no-logo", "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree / "addons"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the linters read."""
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("addons", "tests/lint"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    (tmp_path / "tests/__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(tree: Path, module: str, source: str) -> None:
    target = tree / "addons/tripgate" / module
    target.write_text(f'"""Planted."""\n\n{source}\n')


@pytest.mark.parametrize("linter", [ruff, import_rules])
def test_the_shipped_tree_passes(linter: Run) -> None:
    done = linter(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import time", "time"),
        ("import asyncio", "asyncio"),
        ("import redis", "redis"),
        ("import mitmproxy.http", "mitmproxy"),
        ("import os\n\nHOME = os.environ", "os"),
        ("from os import environ", "os"),
        ("import socket", "socket"),
        ("import random", "random"),
        ("from pathlib import Path", "pathlib"),
        ("import pydantic", "pydantic"),
        ("def now():\n    import time\n\n    return time.time()", "time"),
        ("from tripgate.ledger import protocol", "tripgate.ledger.protocol"),
    ],
)
def test_core_cannot_import_what_is_not_pure(tree: Path, source: str, imported: str) -> None:
    plant(tree, "core/planted.py", source)
    done = import_rules(tree)
    assert done.returncode == 1
    assert f"tripgate.core.planted must not import {imported}\n" in done.stdout


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)", "TID251"),
        ("import datetime as dt\n\nNOW = dt.datetime.now(tz=dt.UTC)", "TID251"),
        ("from datetime import date\n\nTODAY = date.today()", "TID251"),
        ('TEXT = open("settings")', "PTH123"),
        ('print("hello")', "T201"),
        ('eval("1")', "S307"),
    ],
)
def test_core_cannot_reach_the_clock_or_the_world(tree: Path, source: str, code: str) -> None:
    plant(tree, "core/planted.py", source)
    done = ruff(tree)
    assert done.returncode == 1
    found = [line for line in done.stdout.splitlines() if line.startswith("addons/tripgate/core")]
    assert any("planted.py:5:" in line or "planted.py:3:" in line for line in found)
    assert any(f" {code} " in line for line in found), done.stdout


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("cli/planted.py", "import mitmproxy.http", "cli and portal never import mitmproxy"),
        ("portal/planted.py", "import mitmproxy.http", "cli and portal never import mitmproxy"),
        ("proxy/planted.py", "from tripgate.cli import app", "imports point one way"),
        ("ledger/planted.py", "from tripgate.portal import app", "imports point one way"),
        ("core/planted.py", "from tripgate.proxy import gate", "imports point one way"),
        ("planted.py", "", "imports point one way"),
    ],
)
def test_imports_point_one_way(tree: Path, module: str, source: str, rule: str) -> None:
    plant(tree, module, source)
    done = import_rules(tree)
    assert done.returncode == 1
    assert f"{rule} BROKEN" in done.stdout


def test_two_modules_cannot_import_each_other(tree: Path) -> None:
    plant(tree, "core/planted.py", "from tripgate.core import planted_too")
    plant(tree, "core/planted_too.py", "from tripgate.core import planted")
    done = import_rules(tree)
    assert done.returncode == 1
    assert "no import cycles BROKEN" in done.stdout


@pytest.mark.parametrize("source", ["import os\n\nX = os.environ", "from os import getenv"])
def test_settings_alone_read_the_environment(tree: Path, source: str) -> None:
    plant(tree, "proxy/planted.py", source)
    done = ruff(tree)
    assert done.returncode == 1
    assert "planted.py" in done.stdout
    assert "settings.py and statefind.py alone read the environment" in done.stdout


def test_nobody_waits_in_a_way_that_loses_a_cancellation(tree: Path) -> None:
    plant(tree, "planted.py", "import asyncio\n\nWAIT = asyncio.wait_for")
    done = ruff(tree)
    assert done.returncode == 1
    assert "use asyncio.timeout" in done.stdout
