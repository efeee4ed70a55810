"""Who travels, what they do all day, and what the owner allows them.

Rules
1. Hours are of the family's day, which is compressed; volumes are of that compressed day and small,
   so that a few minutes show what a day does.
2. Hosts are of the catalogue. Only their names are used, in the TLS handshake: every connection
   goes to the demo's own server.
3. The gateway's clock stays real: a cap of a day is one of a real day.
"""

from dataclasses import dataclass
from typing import Literal

MB = 1_000_000
FIRST_HOUR = 4.0
DAY_H = 24.0


@dataclass(frozen=True)
class Device:
    """A device of the family; its number in the lab is its place in ``DEVICES``, from 1."""

    name: str
    person: str


@dataclass(frozen=True)
class Activity:
    """From ``begin`` to ``end`` (hours) ``down`` and ``up`` bytes go through connections to
    ``host``; a ``call`` is UDP, as much in both directions."""

    device: str
    what: str
    host: str
    begin: float
    end: float
    down: int
    up: int = 0
    kind: Literal["tls", "call"] = "tls"

    def at(self, hour: float) -> bool:
        """Does it go on at this hour of the day?"""
        return self.begin <= hour < self.end


DEVICES = (
    Device("annas-phone", "anna"),
    Device("annas-laptop", "anna"),
    Device("bens-phone", "ben"),
    Device("bens-tablet", "ben"),
    Device("guests-phone", "guest"),
)

DAY = (
    # At night devices think that nobody is looking.
    Activity("annas-laptop", "Windows Update", "dl.delivery.mp.microsoft.com", 0, 6, 90 * MB),
    Activity("annas-laptop", "cloud backup", "content.dropboxapi.com", 4, 7, MB, 20 * MB),
    Activity("annas-phone", "iCloud Photos", "p12-content.icloud-content.com", 1, 5, MB, 30 * MB),
    Activity("bens-phone", "app updates", "play.googleapis.com", 2, 6, 60 * MB),
    Activity("bens-tablet", "telemetry", "app-measurement.com", 0, 24, MB, MB),
    # By day people do.
    Activity("annas-phone", "messages", "mmg.whatsapp.net", 0, 24, 8 * MB, 3 * MB),
    Activity("annas-phone", "maps", "maps.googleapis.com", 8, 12, 10 * MB, MB),
    Activity("annas-phone", "video", "rr3.googlevideo.com", 19, 22, 40 * MB),
    Activity("annas-laptop", "video call", "call", 9, 11, 8 * MB, kind="call"),
    Activity("annas-laptop", "mail", "imap.gmail.com", 11, 18, 10 * MB, 4 * MB),
    Activity("bens-phone", "short videos", "v16.tiktokcdn.com", 4, 8, 30 * MB),
    Activity("bens-phone", "short videos", "v16.tiktokcdn.com", 12, 18, 60 * MB),
    Activity("bens-phone", "a call home", "call", 18, 20, 5 * MB, kind="call"),
    Activity("bens-tablet", "a film", "ipv4-c001.nflxvideo.net", 5, 9, 50 * MB),
    Activity("bens-tablet", "a film", "ipv4-c001.nflxvideo.net", 17, 21, 50 * MB),
    Activity("guests-phone", "messages", "mmg.whatsapp.net", 0, 24, 3 * MB, MB),
    Activity("guests-phone", "video", "rr5.googlevideo.com", 6, 16, 60 * MB),
)

OWNER = (
    "plan set --volume 5GB --valid 14d --tz UTC",
    "policy preset travel",
    "policy allow Dropbox --for device:annas-laptop",
    "cap set person:anna 400MB/day",
    "cap set device:bens-tablet 30MB/day",
    "cap set person:ben 250MB/day --at-cap essentials",
    "cap set device:guests-phone 15MB/day --at-cap throttle:512kbit",
)
"""What the owner sets, as arguments of ``tripgate``, once the devices are there."""


def doing(device: str, hour: float) -> list[Activity]:
    """What a device does at an hour of the day."""
    return [one for one in DAY if one.device == device and one.at(hour)]
