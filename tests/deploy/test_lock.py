"""The lock files say what pyproject.toml asks for, and where nothing comes from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock", "deploy/tools.lock"]
PYTHONS = ["3.11.2", "3.12.1", "3.13.0", "3.14.0"]
PIN = re.compile(r"^([a-z0-9][^ ;\\]*==[^ ;\\]+)(?: ; ([^\\]+))? \\$", re.MULTILINE)


def pins(lock: str, python: str) -> dict[str, str]:
    """Version by name, as a Linux machine with ``python`` installs them."""
    environment = {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    found: dict[str, str] = {}
    for pin, marker in PIN.findall((ROOT / lock).read_text()):
        requirement = Requirement(f"{pin}; {marker}" if marker else pin)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.name not in found, f"{requirement.name} is locked twice"
            found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


def wanted(python: str, *, tests: bool) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = project["project"]["dependencies"] + (
        project["dependency-groups"]["dev"] if tests else []
    )
    environment = {"python_version": python.rpartition(".")[0], "sys_platform": "linux"}
    requirements = [Requirement(line) for line in lines]
    return [r for r in requirements if r.marker is None or r.marker.evaluate(environment)]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("lock", "tests"), [(LOCKS[0], False), (LOCKS[1], True)])
def test_the_lock_holds_what_the_project_asks_for(lock: str, tests: bool, python: str) -> None:
    locked = pins(lock, python)
    for requirement in wanted(python, tests=tests):
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in {lock}: run deploy/lock"
        assert requirement.specifier.contains(version), f"{requirement}: run deploy/lock"


@pytest.mark.parametrize(
    ("python", "version"), [("3.11.2", "11.0.2"), ("3.12.1", "12."), ("3.13.0", "12.")]
)
def test_each_python_has_its_mitmproxy(python: str, version: str) -> None:
    assert pins("requirements.lock", python)["mitmproxy"].startswith(version)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tests_run_on_what_is_installed(python: str) -> None:
    installed, tested = pins("requirements.lock", python), pins("requirements-dev.lock", python)
    assert {name: tested.get(name) for name in installed} == installed


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert PIN.match(block), block.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|^-", text, re.MULTILINE)
