"""Which state folder a command is about."""

from pathlib import Path

import pytest

from tripgate import statefind
from tripgate.statefolder import Identity, StateError, StateFolder


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose system folder is ``tmp_path/system``."""
    monkeypatch.delenv("TRIPGATE_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(statefind, "SYSTEM", tmp_path / "system")
    return tmp_path / "system"


def inhabit(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    folder = StateFolder(path)
    folder.create()
    folder.write_identity(Identity("gateway", "instance"))


def test_the_option_wins_over_the_environment(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPGATE_STATE", str(tmp_path / "environment"))
    assert statefind.find(tmp_path / "option").path == tmp_path / "option"
    assert statefind.find(None).path == tmp_path / "environment"


def test_without_either_it_is_the_users_own(system: Path, tmp_path: Path) -> None:
    assert statefind.find(None).path == tmp_path / "xdg" / "tripgate"


def test_the_systems_folder_is_taken_where_it_alone_holds_state(system: Path) -> None:
    inhabit(system)
    assert statefind.find(None).path == system


def test_the_users_own_comes_before_the_systems(system: Path, tmp_path: Path) -> None:
    inhabit(system)
    inhabit(tmp_path / "xdg" / "tripgate")
    assert statefind.find(None).path == tmp_path / "xdg" / "tripgate"


@pytest.mark.parametrize("xdg", ["", "relative/path"])
def test_without_a_usable_xdg_folder_it_is_under_the_home(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xdg: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", xdg)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert statefind.own_folder() == tmp_path / ".local/state/tripgate"


def test_a_relative_folder_is_made_absolute(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert statefind.find(Path("here")).path == tmp_path / "here"


def test_without_a_home_the_option_is_named(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError

    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(StateError, match="name a folder with --state DIR"):
        statefind.own_folder()
