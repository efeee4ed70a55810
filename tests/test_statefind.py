"""Which state folder it is: named, in the environment, the user's, the system's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tripgate import statefind, statefolder
from tripgate.statefind import find, own_folder
from tripgate.statefolder import Identity, StateError, StateFolder


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user without state, on a machine whose system folder is ``system``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("TRIPGATE_STATE", raising=False)
    monkeypatch.setattr(statefind, "SYSTEM", tmp_path / "system")
    return tmp_path


def with_state(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = StateFolder(path)
    folder.create()
    folder.write_identity(Identity("gateway", "instance"))
    return path


def test_the_option_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_STATE", "/elsewhere")
    assert find(home / "named").path == home / "named"


def test_then_the_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_STATE", "~/elsewhere")
    assert find(None).path == home / "elsewhere"


def test_then_the_users_own(home: Path) -> None:
    with_state(home / "system")
    own = with_state(home / ".local/state/tripgate")
    assert find(None).path == own


def test_then_the_systems_where_only_that_has_state(home: Path) -> None:
    system = with_state(home / "system")
    assert find(None).path == system


def test_a_system_folder_without_state_does_not_count(home: Path) -> None:
    (home / "system").mkdir()
    assert find(None).path == home / ".local/state/tripgate"


def test_a_system_folder_that_may_not_be_read_is_found_and_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = with_state(home / "system")
    monkeypatch.setattr(statefolder, "SYSTEM", system)
    monkeypatch.setattr(Path, "stat", denied_below(system, Path.stat))
    monkeypatch.setattr(Path, "open", denied_below(system, Path.open))
    folder = find(None)
    assert folder.path == system
    with pytest.raises(StateError, match="Permission denied: join the group tripgate"):
        folder.read_identity()


def denied_below(folder: Path, real: Callable[..., Any]) -> Callable[..., Any]:
    """``real``, as it would be for somebody who may not look into ``folder``."""

    def call(path: Path, *args: Any, **more: Any) -> Any:
        if folder in path.parents:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)

    return call


def test_the_state_home_of_xdg_is_used_if_it_is_absolute(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "xdg"))
    assert own_folder() == home / "xdg/tripgate"
    assert find(None).path == home / "xdg/tripgate"


@pytest.mark.parametrize("xdg", ["", "relative/path"])
def test_without_a_usable_xdg_folder_it_is_under_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch, xdg: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", xdg)
    assert own_folder() == home / ".local/state/tripgate"


def test_without_a_home_the_option_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(StateError, match="name a folder with --state DIR"):
        own_folder()


def test_a_relative_name_is_made_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    assert find(Path("here")).path == home / "here"
