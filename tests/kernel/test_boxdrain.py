"""Holding the box's own updates, with a ``systemctl`` of the test's own."""

from pathlib import Path

import pytest

from tripgate.core.boxdrain import HELD
from tripgate.kernel.boxdrain import BoxDrain

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >>{log}
[ "$1" = is-active ] || exit 0
shift
for unit; do
  case $unit in apt-daily.timer|man-db.timer) echo active ;; *) echo inactive ;; esac
done
"""
BOTH = ("apt-daily.timer", "man-db.timer")


class Box:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.log.touch()
        program = folder / "bin/systemctl"
        program.parent.mkdir()
        program.write_text(SYSTEMCTL.format(log=self.log))
        program.chmod(0o755)
        self.booted = folder / "booted"
        self.booted.mkdir()
        self.record = folder / "held"
        self.drain = BoxDrain(self.record, self.booted, f"{program.parent}:/usr/bin:/bin")

    def commands(self) -> list[str]:
        return [
            line for line in self.log.read_text().split("\n") if line and "is-active" not in line
        ]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


async def test_what_is_active_is_stopped(box: Box) -> None:
    assert await box.drain.hold() == BOTH
    assert box.commands() == ["--no-block stop apt-daily.timer man-db.timer"]


async def test_what_was_stopped_is_started_again(box: Box) -> None:
    await box.drain.hold()
    await box.drain.let_go()
    assert box.commands()[1:] == ["--no-block start apt-daily.timer man-db.timer"]
    assert box.drain.held() == ()


async def test_a_gateway_that_crashed_meanwhile_starts_it_again(box: Box) -> None:
    await box.drain.hold()
    again = BoxDrain(box.record, box.booted)
    assert again.held() == BOTH


async def test_a_second_hold_forgets_nothing_of_the_first(box: Box) -> None:
    box.record.write_text(f"{HELD[1]}\n")
    assert await box.drain.hold() == (HELD[1], *BOTH)


async def test_what_was_not_held_is_not_started(box: Box) -> None:
    await box.drain.let_go()
    assert box.commands() == []


async def test_a_record_starts_no_other_unit(box: Box) -> None:
    box.record.write_text("sshd.service\n")
    await box.drain.let_go()
    assert box.commands() == []


async def test_without_systemd_nothing_is_done(box: Box) -> None:
    box.booted.rmdir()
    assert await box.drain.hold() == ()
    assert box.log.read_text() == ""
