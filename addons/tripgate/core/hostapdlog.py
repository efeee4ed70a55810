"""Stations that join and leave, out of what hostapd writes.

A station that joined with a person's key is named with its keyid (hostapd ``AP-STA-CONNECTED``).
A line of another form tells nothing.
"""

import re
from dataclasses import dataclass

from tripgate.core.mac import clean_mac

LINE_MOST = 256

_LINE = re.compile(
    r"[A-Za-z0-9_.-]{1,15}: AP-STA-(?P<what>CONNECTED|DISCONNECTED) (?P<mac>[0-9a-f:]{17})"
    r"(?: keyid=(?P<keyid>[a-z0-9-]{1,31}))?(?: .*)?"
)


@dataclass(frozen=True, slots=True)
class Station:
    """``mac`` joined (``here``) or left; ``keyid``: with whose key, if with a person's."""

    mac: str
    here: bool
    keyid: str | None


def station(line: str) -> Station | None:
    """What a line of hostapd says of a station."""
    match = _LINE.fullmatch(line) if len(line) <= LINE_MOST else None
    mac = clean_mac(match["mac"]) if match else None
    if match is None or mac is None:
        return None
    return Station(mac, match["what"] == "CONNECTED", match["keyid"])
