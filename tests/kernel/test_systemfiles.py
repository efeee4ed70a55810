"""System files below a root of the test's own."""

import os
import subprocess
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from tripgate.core.dnsmasqconf import Lan, Resolver
from tripgate.core.hostapdconf import AccessPoint
from tripgate.core.systemfiles import HEADER, PSK_FILE, RESOLVER_CONF, Router, SystemFile, files
from tripgate.kernel.systemfiles import SAVED, ForeignFile, apply, plan, remove

ONE, OTHER = "etc/tripgate/dnsmasq.conf", "etc/sysctl.d/60-tripgate.conf"
WANTED = [SystemFile(ONE, f"{HEADER}\none\n", 0o600), SystemFile(OTHER, f"{HEADER}\nother\n")]


def states(steps: list) -> dict[str, str]:
    return {step.path: step.state for step in steps}


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def foreign(root: Path, text: str = "mine\n") -> Path:
    path = root / OTHER
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    assert states(plan(tmp_path, WANTED)) == {ONE: "new", OTHER: "new"}
    assert everything(tmp_path) == []


def test_an_apply_installs_text_and_mode(tmp_path: Path) -> None:
    apply(tmp_path, WANTED)
    path = tmp_path / ONE
    assert (path.read_text(), path.stat().st_mode & 0o777) == (WANTED[0].text, 0o600)


def test_a_second_apply_changes_nothing(tmp_path: Path) -> None:
    apply(tmp_path, WANTED)
    before = {path: (tmp_path / path).stat() for path in (ONE, OTHER)}
    assert states(apply(tmp_path, WANTED)) == {ONE: "same", OTHER: "same"}
    assert {path: (tmp_path / path).stat() for path in (ONE, OTHER)} == before


def test_a_file_of_ours_that_somebody_changed_is_put_right(tmp_path: Path) -> None:
    apply(tmp_path, WANTED)
    (tmp_path / ONE).write_text(f"{HEADER}\nchanged\n")
    assert states(apply(tmp_path, WANTED))[ONE] == "changed"
    assert (tmp_path / ONE).read_text() == WANTED[0].text


def test_a_mode_that_somebody_opened_is_put_right(tmp_path: Path) -> None:
    apply(tmp_path, WANTED)
    (tmp_path / ONE).chmod(0o644)
    apply(tmp_path, WANTED)
    assert (tmp_path / ONE).stat().st_mode & 0o777 == 0o600


def test_a_file_of_somebody_else_stops_everything(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    with pytest.raises(ForeignFile, match=r"^/etc/sysctl.d/60-tripgate.conf was .*--force$"):
        apply(tmp_path, WANTED)
    assert everything(tmp_path) == [OTHER]
    assert path.read_text() == "mine\n"


def test_a_link_is_somebody_else_s_and_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text(f"{HEADER}\n")
    (tmp_path / OTHER).parent.mkdir(parents=True)
    (tmp_path / OTHER).symlink_to(target)
    with pytest.raises(ForeignFile):
        apply(tmp_path, WANTED)


def test_force_keeps_what_it_replaces_and_remove_puts_it_back(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    apply(tmp_path, WANTED, force=True)
    assert path.read_text() == WANTED[1].text
    assert path.with_name(path.name + SAVED).read_text() == "mine\n"
    remove(tmp_path)
    assert everything(tmp_path) == [OTHER]
    assert path.read_text() == "mine\n"


def test_remove_leaves_nothing(tmp_path: Path) -> None:
    apply(tmp_path, WANTED)
    assert states(remove(tmp_path)) == {ONE: "gone", OTHER: "gone"}
    assert everything(tmp_path) == []
    assert not (tmp_path / "etc/tripgate").exists()


def test_remove_leaves_the_files_of_others(tmp_path: Path) -> None:
    foreign(tmp_path)
    assert remove(tmp_path) == []
    assert everything(tmp_path) == [OTHER]


def test_what_is_not_wanted_any_more_is_taken_back(tmp_path: Path) -> None:
    apply(tmp_path, WANTED)
    assert states(apply(tmp_path, WANTED[:1])) == {ONE: "same", OTHER: "gone"}
    assert everything(tmp_path) == [ONE]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """What a real set of settings installs."""
    lan = Lan("wlan0", IPv4Interface("10.77.0.1/24"))
    point = AccessPoint("wlan0", "Van", "DE", "/run/h", f"/{PSK_FILE}", key="correct horse")
    router = Router(
        ("/bin/true", "up"), "/run/state", Resolver(lan, "/run/leases"), 5354, ("usb0",), point
    )
    apply(tmp_path, files(router))
    return tmp_path


@pytest.mark.parametrize("conf", [RESOLVER_CONF, "etc/tripgate/dnsmasq-captive.conf"])
def test_dnsmasq_takes_its_installed_configuration(installed: Path, conf: str) -> None:
    done = subprocess.run(
        ["dnsmasq", "--test", f"--conf-file={installed / conf}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "dnsmasq: syntax check OK.\n")


def test_systemd_takes_the_units(installed: Path) -> None:
    if not os.access("/usr/bin/systemd-analyze", os.X_OK):
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", *(installed / "etc/systemd/system").iterdir()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
