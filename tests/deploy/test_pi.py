"""deploy/pi/install.sh on a clean Debian: installed, started by hand, taken back, nothing left."""

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import piroot
from tests.deploy.piroot import Booted, PiRoot
from tests.lab.lab import LAN4, Lab, needs_lab, server4, wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = "deploy/pi/install.sh"
INSTALL = (
    f"/mnt/{SCRIPT}", "--yes", "--lan", "lan0", "--uplink", "wan0", "--plan", "5GB",
    "--person", "anna",
)  # fmt: skip
GB = 1_000_000_000
UNITS = ("tripgate", "tripgate-dnsmasq", "tripgate-captive", "tripgate-prometheus")


def install_here(*options: str) -> "subprocess.CompletedProcess[str]":
    """On this machine: only what changes nothing."""
    return subprocess.run(
        [ROOT / SCRIPT, *options], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_help_names_every_option() -> None:
    told = set(re.findall(r"--[a-z-]+", install_here("--help").stdout))
    known = set(re.findall(r"^ +((?:--[a-z-]+(?: \| )?)+)\)", (ROOT / SCRIPT).read_text(), re.M))
    assert told >= {one for line in known for one in line.split(" | ")}


def test_a_dry_run_says_every_step_and_does_none() -> None:
    done = install_here("--dry-run", "--yes", "--lan", "lan0")
    said = [line for line in done.stderr.splitlines() if line.endswith("(not done: --dry-run)")]
    assert (done.returncode, len(said)) == (0, 9), done.stderr
    assert not Path("/etc/tripgate/tripgate.toml").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lan", "a b"], "name an interface"),
        (["--lan", "lan0", "--plan", "10 GB; reboot"], "a volume, as in 10GB"),
        (["--lan", "wlan0", "--country", "de"], "two capital letters"),
        (["--lan", "wlan0", "--country", "DE", "--ssid", 'a"b'], "1 to 32 letters"),
        (["--lan", "lan0", "--person", "Anna"], "a-z, 0-9 and hyphens"),
        (["--lan", "lan0", "--tz", "$(id)"], "as in Europe/Lisbon"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(options: list[str], said: str) -> None:
    done = install_here("--dry-run", "--yes", *options)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    "password", ["short", 'quote"here', "back\\slash", "a|bcdefgh", " spaced1 "]
)
def test_a_password_that_hostapd_or_the_file_would_misread_is_refused(
    password: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(password + "\n")
    wifi = ("--lan", "wlan0", "--country", "DE", "--password-file", str(file))
    done = install_here("--dry-run", "--yes", *wifi)
    assert (done.returncode, password in done.stderr) == (1, False)


@pytest.mark.parametrize("options", [["--nonsense"], ["--lan"], ["--purge"]])
def test_wrong_usage_is_exit_2(options: list[str]) -> None:
    assert install_here(*options).returncode == 2


def ask(*answers: str) -> str:
    """What the wizard says on a terminal that types ``answers``; nothing is done."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(ROOT / SCRIPT, [SCRIPT, "--dry-run"])
    said = ""
    waiting = list(answers)
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(terminal, 4096):
            said += data.decode(errors="replace")
            if waiting and said.endswith("]: "):
                os.write(terminal, f"{waiting.pop(0)}\n".encode())
    os.waitpid(pid, 0)
    os.close(terminal)
    return said


def test_the_wizard_asks_again_until_an_answer_fits_and_takes_defaults() -> None:
    said = ask("lan 0", "lan0", "", "5 GB", "5GB", "", "Europe/Lisbon", "anna")
    assert said.count("Interface of the devices") == 2
    assert said.count("Volume of the data plan") == 2
    assert "How long it is valid [30d]" in said
    assert "tripgate: done" in said


# ---- in a root of its own --------------------------------------------------------------------

slow = [pytest.mark.slow, pytest.mark.timeout(2 * piroot.MAKE_S)]


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def clean(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PiRoot]:
    """A Debian 12, then a 13, without anything of ours."""
    needs_lab()
    if not shutil.which("mmdebstrap"):
        pytest.skip("needs mmdebstrap")
    folder = tmp_path_factory.mktemp("pi") / "root"
    yield piroot.make(folder, request.param)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def before(clean: PiRoot) -> set[str]:
    return clean.files()


@pytest.fixture(scope="module")
def installed(clean: PiRoot, before: set[str]) -> PiRoot:
    clean.run(*INSTALL)
    return clean


@pytest.fixture(scope="module")
def booted(installed: PiRoot) -> Iterator[Booted]:
    """The installed root, booted as the gateway of a lab. Its clock is this machine's."""
    config = installed.path / "etc/tripgate/tripgate.toml"
    config.write_text(config.read_text() + '\n[clock]\ntrust = "host"\n')
    with Lab(devices=1, prefix="tgi") as lab:
        made = Booted.boot(installed, lab)
        yield made
        made.shut_down()


class TestOnACleanDebian:
    """In this order."""

    pytestmark = slow

    def test_it_installs(self, installed: PiRoot) -> None:
        assert installed.run("tripgate", "--help").returncode == 0

    def test_a_second_run_changes_nothing(self, installed: PiRoot) -> None:
        folders = [installed.path / name for name in ("etc/systemd/system", "etc/tripgate")]
        seen = [(f, f.lstat().st_mtime_ns) for folder in folders for f in folder.rglob("*")]
        installed.run(*INSTALL)
        assert [(f, f.lstat().st_mtime_ns) for f, _ in seen] == seen

    def test_systemd_understands_the_units(self, installed: PiRoot) -> None:
        units = [f"{name}.service" for name in UNITS]
        done = installed.run("systemd-analyze", "verify", "--man=no", *units)
        assert (done.stdout, done.stderr) == ("", "")

    @pytest.mark.parametrize("name", UNITS)
    def test_a_service_starts_with_the_machine(self, installed: PiRoot, name: str) -> None:
        wants = installed.path / "etc/systemd/system/multi-user.target.wants"
        assert (wants / f"{name}.service").is_symlink()

    @pytest.mark.parametrize("name", ["hostapd", "prometheus"])
    def test_debians_own_services_do_not(self, installed: PiRoot, name: str) -> None:
        wants = installed.path / "etc/systemd/system/multi-user.target.wants"
        assert not (wants / f"{name}.service").is_symlink()

    def test_the_settings_are_roots_alone(self, installed: PiRoot) -> None:
        config = installed.path / "etc/tripgate/tripgate.toml"
        assert config.stat().st_mode & 0o777 == 0o600

    def test_booted_the_units_run_in_their_sandbox(self, booted: Booted) -> None:
        """``Type=notify``: a gateway is active once it has said so."""
        for name in UNITS:
            wait_until(lambda name=name: booted.property(name, "ActiveState") == "active", name, 90)

    def test_run_again_on_the_booted_machine_it_sets_the_plan(self, booted: Booted) -> None:
        booted.told(*INSTALL)
        assert json.loads(booted.told("tripgate", "plan", "show", "--json"))["volume"] == 5 * GB
        assert "anna" in booted.told("tripgate", "person", "list")

    def test_a_device_is_metered(self, booted: Booted) -> None:
        lab = booted.lab
        lab.run(lab.device(1), ["ping", "-c", "1", "-W", "1", f"{LAN4}.1"], check=False)

        def devices() -> list[dict[str, str]]:
            return json.loads(booted.told("tripgate", "device", "list", "--json"))

        wait_until(lambda: bool(devices()), "the device", 30)
        (device,) = devices()
        booted.told("tripgate", "device", "approve", device["id"])
        wait_until(lambda: _pings(lab), "a way to the server", 30)

        def used() -> int:
            rows = json.loads(booted.told("tripgate", "usage", "--by", "device", "--json"))["rows"]
            return sum(row["total"] for row in rows if row["id"] == device["id"])

        wait_until(lambda: used() == lab.truth(server4(1)).total > 0, "what the carrier saw", 30)

    def test_a_gateway_that_hangs_is_started_again(self, booted: Booted) -> None:
        before = booted.property("tripgate", "MainPID")
        booted.told("systemctl", "kill", "--signal=STOP", "--kill-who=main", "tripgate")
        wait_until(
            lambda: booted.property("tripgate", "MainPID") not in (before, "0"), "a new", 120
        )
        wait_until(lambda: booted.property("tripgate", "ActiveState") == "active", "it serves", 90)

    def test_a_stop_is_clean(self, booted: Booted) -> None:
        booted.told("systemctl", "stop", "tripgate")
        assert booted.property("tripgate", "Result") == "success"

    def test_uninstalled_it_leaves_the_counts(self, booted: Booted, installed: PiRoot) -> None:
        booted.told(f"/mnt/{SCRIPT}", "--uninstall")
        booted.shut_down()
        assert (installed.path / "var/lib/tripgate/gateway.json").exists()

    def test_purged_it_leaves_nothing(self, installed: PiRoot, before: set[str]) -> None:
        installed.run(f"/mnt/{SCRIPT}", "--uninstall", "--purge")
        left = installed.files() - before
        assert {one for one in left if "tripgate" in one} == set()
        # Packages leave accounts, their backups and caches of the loader; systemd its stamp.
        debians = r"/etc/|/var/lib/|/usr/share/|/var/\.updated$"
        assert [one for one in left if not re.match(debians, one)] == []


def _pings(lab: Lab) -> bool:
    argv = ["ping", "-q", "-c", "1", "-W", "1", server4(1)]
    return lab.run(lab.device(1), argv, check=False).returncode == 0
