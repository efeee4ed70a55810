"""Every locked dependency is there for a Raspberry Pi without a compiler."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PI = "aarch64-manylinux_2_28"
# Source alone, but pure Python: its build needs no compiler.
PURE_SOURCE = ("pyperclip",)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def resolve(python: str, target: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """What would be installed on a Pi from wheels alone; nothing is."""
    return subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "install", "--dry-run", "--no-deps",
         "--require-hashes", "--python-platform", PI, "--python-version", python,
         "--only-binary", ":all:", "--target", target, *options,
         "-r", ROOT / "requirements.lock"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_every_locked_dependency_has_a_wheel_for_a_pi(python: str, tmp_path: Path) -> None:
    but = [word for name in PURE_SOURCE for word in ("--no-binary", name)]
    done = resolve(python, tmp_path / "pi", *but)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^ \+ ", done.stderr, re.M)) > 50


def test_what_has_no_wheel_is_noticed(tmp_path: Path) -> None:
    done = resolve("3.11", tmp_path / "pi")
    assert "pyperclip" in done.stderr
    assert done.returncode != 0
