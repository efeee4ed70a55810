"""The drain of the box itself: what Debian and Raspberry Pi OS fetch by themselves.

While the uplink is metered these units are stopped, and what was running before is started again
afterwards. Names are systemd's; a unit that the machine does not have is passed over.
"""

from collections.abc import Iterable

HELD = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "packagekit.service",
    "fwupd-refresh.timer",
    "man-db.timer",
    "motd-news.timer",
    "pi-greedy-update.timer",
    "rpi-eeprom-update.service",
    "snapd.service",
    "snapd.socket",
    "update-notifier-download.timer",
    "update-notifier-motd.timer",
)
"""Timers, and services that fetch without one."""


def which_are_active() -> tuple[str, ...]:
    """Asks systemd for the state of every unit: one line each, in our order."""
    return ("systemctl", "is-active", *HELD)


def active(answer: str) -> tuple[str, ...]:
    """The units that are active by that answer."""
    states = answer.split("\n")
    return tuple(unit for unit, state in zip(HELD, states, strict=False) if state == "active")


def hold(units: Iterable[str]) -> tuple[str, ...]:
    """Stops ``units``."""
    return ("systemctl", "--no-block", "stop", *_known(units))


def let_go(units: Iterable[str]) -> tuple[str, ...]:
    """Starts ``units`` again."""
    return ("systemctl", "--no-block", "start", *_known(units))


def _known(units: Iterable[str]) -> tuple[str, ...]:
    """A record is only a file: no other unit is ever started by it."""
    return tuple(unit for unit in units if unit in HELD)
