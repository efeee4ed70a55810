"""A small file is replaced whole, or not at all."""

import stat
from pathlib import Path

import pytest

from tripgate.durable import replace_file


def test_the_new_text_stands_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    replace_file(path, "new: ü", 0o640)
    assert path.read_text(encoding="utf-8") == "new: ü"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_text("half of something else")
    replace_file(tmp_path / "file", "x", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_reader_sees_the_old_file_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        replace_file(path, "new", 0o600)
        assert reader.read() == "old"


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "file.new").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(tmp_path / "file", "x", 0o600)
    assert (tmp_path / "other").read_text() == "precious"


def test_where_nothing_can_be_written_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / "file.new").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(path, "new", 0o600)
    assert path.read_text() == "old"
