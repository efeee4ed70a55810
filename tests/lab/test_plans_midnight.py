"""A day turns at midnight in Mexico City, on the real gateway: the box is in UTC, and its clock was
an hour wrong at boot."""

import json
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.lab.lab import Lab, server4, wait_until
from tests.lab.product import Product, curl, end_all, web

WRONGCLOCK = Path(__file__).with_name("wrongclock.py")
MIDNIGHT = datetime(2026, 5, 5, tzinfo=ZoneInfo("America/Mexico_City")).timestamp()
HOUR_S = 3600
MB = 1_000_000


class Box(Product):
    """A gateway whose clock the test sets."""

    def set_clock(self, at: float, *, synchronised: bool = True) -> None:
        told = self.state.parent / "clock"
        new = told.with_suffix(".new")
        new.write_text(json.dumps({"off": at - time.time(), "synchronised": synchronised}))
        new.replace(told)
        self.program, self.trust = (str(WRONGCLOCK), str(told)), "kernel"

    def got(self) -> bool:
        """Whether device 1 gets another megabyte."""
        return curl(self.lab, 1, f"http://{server4(1)}/{MB}", seconds=5).stdout == f"200 {MB}"

    @property
    def reached(self) -> bool:
        (cap,) = self.json("cap", "list")
        return bool(cap["reached"])


@pytest.mark.parametrize("wrong", [-HOUR_S, HOUR_S], ids=["slow", "fast"])
def test_the_day_turns_at_midnight_there_and_not_by_the_wrong_clock(
    lab: Lab, tmp_path: Path, wrong: int
) -> None:
    web(lab)
    box = Box(lab, tmp_path / "state")
    try:
        box.set_clock(MIDNIGHT - 1200)
        box.start()
        box.admit(1)
        box.run("plan", "set", "--tz", "America/Mexico_City", "--volume", "1GB")
        box.run("cap", "set", "phone-1", f"{2 * MB}B/day")
        assert box.got()
        assert box.stop() == 0

        box.set_clock(MIDNIGHT - 600 + wrong, synchronised=False)
        box.start()
        assert box.json("status")["clock"] == "untrusted"
        assert not box.got(), "half the day's volume is left, and this is more"
        wait_until(lambda: box.reached, "the cap is reached")

        box.set_clock(MIDNIGHT - 600)
        time.sleep(2)
        assert not box.got()
        assert box.reached
        assert box.json("cap", "list")[0]["resets_at"] == "2026-05-05T06:00:00Z"

        box.set_clock(MIDNIGHT + 1)
        wait_until(box.got, "the new day", 30)
        assert not box.reached
        assert box.json("cap", "list")[0]["resets_at"] == "2026-05-06T06:00:00Z"
    finally:
        if box.process and box.process.poll() is None:
            box.stop()
        end_all(lab, lab.gateway)
