"""deploy/up on a machine where all is installed, and where something is missing."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.machine import Machine

ECHO = 'printf "%s\\n" "$@"'


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """With a finished environment, whose ``tripgate`` prints what it was called with."""
    machine.program("tripgate", ECHO, machine.checkout / ".venv/bin")
    machine.program("python", "exit 1", machine.checkout / ".venv/bin")
    (machine.checkout / ".venv/tripgate.python").write_text("/usr/bin/python3\n")
    stamped = machine.lib(
        'env_stamp "$root/requirements.lock" >"$root/.venv/tripgate.stamp"; '
        'env_ready "$root/.venv" "$root/requirements.lock"'
    )
    assert stamped.returncode == 0, stamped.stderr
    return machine


def test_it_runs_tripgate_up_with_its_options(installed: Machine) -> None:
    done = installed.up("--listen", ":1", "two words", "", "--help")
    assert done.stdout.split("\n") == ["up", "--listen", ":1", "two words", "", "--help", ""]
    assert (done.returncode, done.stderr) == (0, "")


def test_it_runs_from_any_folder_and_through_a_link(installed: Machine) -> None:
    link = installed.root / "start"
    link.symlink_to(installed.checkout / "deploy/up")
    assert installed.run(link, cwd=Path("/")).stdout == "up\n"


def test_the_exit_code_is_the_gateways(installed: Machine) -> None:
    installed.program("tripgate", "exit 3", installed.checkout / ".venv/bin")
    assert installed.up().returncode == 3


def test_it_stops_before_the_gateway_when_told_to(installed: Machine) -> None:
    installed.environment["TRIPGATE_ONLY_INSTALL"] = "1"
    done = installed.up()
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_installed_is_started_at_once(installed: Machine) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        assert installed.up().returncode == 0
        took.append(time.perf_counter() - began)
    assert min(took) < 0.15


def test_what_is_installed_is_not_touched(installed: Machine) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.checkout.rglob("*")}
    installed.up()
    assert {path: path.stat().st_mtime_ns for path in installed.checkout.rglob("*")} == before


def change_lock(checkout: Path) -> None:
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# newer\n")


def change_installer(checkout: Path) -> None:
    with (checkout / "deploy/lib.sh").open("a") as lib:
        lib.write("# newer\n")


def interrupt(checkout: Path) -> None:
    (checkout / ".venv/tripgate.stamp").unlink()


def lose_python(checkout: Path) -> None:
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to("/nonexistent/python3.11")


@pytest.mark.parametrize("spoil", [change_lock, change_installer, interrupt, lose_python])
def test_an_environment_that_is_not_finished_is_not_used(
    installed: Machine, spoil: Callable[[Path], None]
) -> None:
    spoil(installed.checkout)
    done = installed.up()
    assert done.returncode == 1
    assert "no usable Python 3.11 to 3.14 found: apt install python3 python3-venv" in done.stderr
    assert done.stdout == ""


def test_a_checkout_that_was_moved_is_installed_again(installed: Machine) -> None:
    moved = installed.root / "elsewhere"
    shutil.move(installed.checkout, moved)
    done = installed.run(moved / "deploy/up")
    assert done.returncode == 1
    assert "no usable Python" in done.stderr


def test_another_python_that_is_asked_for_is_installed(installed: Machine) -> None:
    installed.environment["TRIPGATE_PYTHON"] = "/nonexistent/python3.12"
    done = installed.up()
    assert done.returncode == 1
    assert "TRIPGATE_PYTHON=/nonexistent/python3.12 is no usable Python 3.11 to 3.14" in done.stderr


def test_the_python_it_was_made_with_may_be_named(installed: Machine) -> None:
    installed.environment["TRIPGATE_PYTHON"] = "/usr/bin/python3"
    assert installed.up().stdout == "up\n"


# ---- which Python --------------------------------------------------------------------------


def fake(version: str) -> str:
    """A Python of ``version`` as far as the bootstrap looks: it answers within the range."""
    return f'v={version}; [ "$2" -le "$v" ] && [ "$v" -le "$3" ] && echo "ok $0"; exit 0'


def chosen(machine: Machine) -> str:
    done = machine.lib("find_python 11 14")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_newest_python_on_the_path_is_taken(machine: Machine) -> None:
    for version in ("11", "13", "12"):
        machine.program(f"python3.{version}", fake(version))
    assert chosen(machine) == str(machine.bin / "python3.13")


def test_a_newer_one_of_pyenv_is_taken(machine: Machine) -> None:
    machine.program("python3.11", fake("11"))
    versions = machine.root / "pyenv/versions"
    for patch in ("3.13.2", "3.13.10", "3.9.1"):
        machine.program("python3.13", fake("13"), versions / patch / "bin")
    machine.environment["PYENV_ROOT"] = str(machine.root / "pyenv")
    assert chosen(machine) == str(versions / "3.13.10/bin/python3.13")


def test_a_shim_that_only_says_no_is_passed_over(machine: Machine) -> None:
    machine.program("python3.12", 'echo "pyenv: python3.12: command not found" >&2; exit 127')
    real = machine.program("python3.12", fake("12"), machine.root / "usr/bin")
    machine.environment["PATH"] = f"{machine.bin}:{real.parent}"
    assert chosen(machine) == str(real)


def test_a_plain_python3_will_do(machine: Machine) -> None:
    machine.program("python3", fake("12"))
    assert chosen(machine) == str(machine.bin / "python3")


@pytest.mark.parametrize("version", ["10", "15"])
def test_a_python_outside_the_range_is_not_taken(machine: Machine, version: str) -> None:
    machine.program("python3", fake(version))
    assert machine.lib("find_python 11 14").returncode == 1


def test_the_real_python_of_the_tests_is_usable(machine: Machine) -> None:
    machine.environment["TRIPGATE_PYTHON"] = os.path.realpath("/proc/self/exe")
    assert chosen(machine).endswith(Path(os.path.realpath("/proc/self/exe")).name)


# ---- Debian without python3-venv -----------------------------------------------------------

WITHOUT_VENV = 'if [ -e "$HOME/venv" ]; then echo "ok $0"; else echo "no-venv 3.11"; fi'


APT_GET = """
echo "$@" >>"$HOME/apt"
"$HOME/policy-rc.d"; echo "services: $?" >>"$HOME/apt"
case "$*" in *install*python3.11-venv) >"$HOME/venv";; esac
"""


def debian(machine: Machine, user: str) -> None:
    machine.program("python3.11", WITHOUT_VENV)
    machine.program("id", f"echo {user}", machine.root / "first")
    machine.program("dpkg-query", "exit 1")
    machine.program("apt-get", APT_GET)
    machine.environment["PATH"] = f"{machine.root / 'first'}:{machine.bin}"


def test_a_user_is_told_which_package_is_missing(machine: Machine) -> None:
    debian(machine, "1000")
    done = machine.up()
    assert done.returncode == 1
    assert (
        done.stderr == "tripgate: Debian packages are missing: sudo apt install python3.11-venv\n"
    )


def test_root_installs_it(machine: Machine) -> None:
    debian(machine, "0")
    assert chosen(machine) == str(machine.bin / "python3.11")


def test_no_service_is_started_by_an_installation(machine: Machine) -> None:
    debian(machine, "0")
    chosen(machine)
    log = (machine.root / "home/apt").read_text()
    assert log.count("services: 101") == 2  # update and install: policy-rc.d says no
    assert not (machine.root / "home/policy-rc.d").exists()


def test_the_policy_of_the_machine_is_kept(machine: Machine) -> None:
    debian(machine, "0")
    policy = machine.program("policy-rc.d", "exit 104", machine.root / "home")
    chosen(machine)
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"


def test_what_is_there_is_not_installed_again(machine: Machine) -> None:
    debian(machine, "1000")
    machine.program("dpkg-query", "echo install ok installed")
    assert machine.lib("apt_install curl").returncode == 0


def test_a_package_that_was_removed_is_missing(machine: Machine) -> None:
    debian(machine, "1000")
    machine.program("dpkg-query", "echo deinstall ok config-files")
    assert "sudo apt install curl" in machine.lib("apt_install curl").stderr


def test_with_uv_at_hand_the_package_is_not_needed(machine: Machine) -> None:
    machine.program("uv", "echo uv 0.9.1")
    machine.program("python3.11", '[ -n "$4" ] && echo "ok $0"')
    assert chosen(machine) == str(machine.bin / "python3.11")


def test_an_old_uv_is_not_used(machine: Machine) -> None:
    machine.program("uv", "echo uv 0.4.30")
    assert machine.lib("path_uv").stdout == ""
