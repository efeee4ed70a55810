"""What was posted of the counters survives the process, and only with its counters."""

from pathlib import Path

import pytest

from tripgate.core import marks
from tripgate.core.counts import SlotCount, Volume
from tripgate.kernel.posted import PostedPage

COUNT = SlotCount(Volume(1, 2**40), 3)


def test_the_next_run_finds_what_was_posted(tmp_path: Path) -> None:
    PostedPage(tmp_path / "posted", "boot table").set(marks.LAST, COUNT)
    page = PostedPage(tmp_path / "posted", "boot table")
    assert page.get(marks.LAST) == COUNT
    assert page.get(marks.FIRST) == SlotCount()


def test_counters_that_began_again_were_posted_nothing_of(tmp_path: Path) -> None:
    PostedPage(tmp_path / "posted", "boot table").set(marks.NOBODY, COUNT)
    assert PostedPage(tmp_path / "posted", "boot other").get(marks.NOBODY) == SlotCount()


def test_counters_that_begin_again_under_way_have_nothing_posted(tmp_path: Path) -> None:
    page = PostedPage(tmp_path / "posted", "boot table")
    page.set(marks.FIRST, COUNT)
    page.begin("boot other")
    assert page.get(marks.FIRST) == SlotCount()


def test_a_link_in_the_pages_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "posted").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        PostedPage(tmp_path / "posted", "boot table")
