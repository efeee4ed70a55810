"""Drains: stretches of background use of one service on one device, found in the ledger's hours.

Rules
1. Nobody asks for updates of the system, telemetry and ads (``BY_ITSELF``): their use is a drain,
   whatever else the device does.
2. Stores, clouds, backups and browsers' own services (``EITHER``) work by themselves and when they
   are asked. Their use is a drain; it is sure where the device was quiet, less so beside a person.
   Games are played too: only an hour of ``DOWNLOAD`` bytes is one of a download.
3. What else may work by itself (``PATTERN``) is a drain only while the device is quiet, and that is
   a guess: ``low``. All other use is a person's, and what no name is known of stays unknown.
4. A device is quiet in an hour when neither it nor the hour before has ``PRESENT`` bytes of what
   people look at or listen to, nor, in the hour itself, of what has no name: that may be a person.
5. A service whose hosts serve other things too is one step less sure.
6. A stretch goes over one silent hour (``GAP_H``), and is a drain from ``LEAST`` bytes on. Its
   confidence is that of most of its bytes.
7. It is known by the hour only: it began, or ended, at some time within that hour.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tripgate.core.usage import HOUR_S, Reading, services

BY_ITSELF = frozenset({"os-update", "telemetry", "ads"})
EITHER = frozenset({"app-store", "cloud-sync", "backup", "browser"})
PLAYED = "games"
PATTERN = frozenset({"smart-home", "security", "dev", "email"})
PERSONAL = frozenset(
    {
        "video", "music", "social", "chat", "meetings", "maps", "ai", "news", "shopping",
        "travel", "finance",
    }
)  # fmt: skip
NAMELESS = frozenset({"unknown", "cdn", "vpn"})

LEAST = 1_000_000
"""Bytes of the smallest stretch that is told."""
BIG = 20_000_000
"""Bytes of a drain that somebody should hear of."""
PRESENT = 1_000_000
"""Bytes in an hour that say that a person uses the device."""
DOWNLOAD = 200_000_000
"""Bytes in an hour that no play takes (it takes 20 to 100 MB)."""
GAP_H = 1
SURE = ("low", "medium", "high")
"""Confidences, rising."""
WHY = {
    "itself": "works by itself",
    "quiet": "while the device was not used",
    "beside": "while somebody used the device",
    "pattern": "the device was quiet: a guess",
}


@dataclass(frozen=True, slots=True)
class Hour:
    """What one device used in the hour from ``at``: bytes by (service, category)."""

    device: str
    at: int
    volumes: Mapping[tuple[str, str], int]

    def of(self, categories: Collection[str]) -> int:
        return sum(size for (_, one), size in self.volumes.items() if one in categories)


@dataclass(frozen=True, slots=True)
class Piece:
    """Background use of one hour. ``why``: a key of :data:`WHY`."""

    device: str
    service: str
    category: str
    at: int
    volume: int
    confidence: str
    why: str


@dataclass(frozen=True, slots=True)
class Drain:
    """A stretch, of hours that are ascending; never empty."""

    pieces: tuple[Piece, ...]
    until: int

    @property
    def device(self) -> str:
        return self.pieces[0].device

    @property
    def service(self) -> str:
        return self.pieces[0].service

    @property
    def category(self) -> str:
        return self.pieces[0].category

    @property
    def since(self) -> int:
        return self.pieces[0].at

    @property
    def volume(self) -> int:
        return sum(piece.volume for piece in self.pieces)

    @property
    def confidence(self) -> str:
        """Rule 6."""
        return self._most({piece: piece.confidence for piece in self.pieces})

    @property
    def why(self) -> str:
        """Of most of its bytes, for people."""
        return WHY[self._most({piece: piece.why for piece in self.pieces})]

    def _most(self, told: Mapping[Piece, str]) -> str:
        sums: Counter[str] = Counter()
        for piece, word in told.items():
            sums[word] += piece.volume
        return max(sums, key=lambda word: (sums[word], word))


def hours_of(reading: Reading, buckets: Iterable[Mapping[str, int]]) -> list[Hour]:
    """The hours that hold something, from what the ledger keeps."""
    made = []
    for name, device, bucket in zip(reading.names, reading.devices, buckets, strict=True):
        volumes: Counter[tuple[str, str]] = Counter()
        for service, category, volume in services(bucket):
            volumes[service, category] += volume
        if volumes:
            made.append(Hour(device, int(name.rpartition(":")[2]), volumes))
    return made


def pieces(hours: Iterable[Hour], shared: Collection[str] = ()) -> list[Piece]:
    """Rules 1 to 5, by time. ``shared``: names of services whose hosts serve other things too."""
    ordered = sorted(hours, key=lambda hour: hour.at)
    personal = {(hour.device, hour.at): hour.of(PERSONAL) for hour in ordered}
    made = []
    for hour in ordered:
        before = personal.get((hour.device, hour.at - HOUR_S), 0)
        seen = max(personal[hour.device, hour.at], before, hour.of(NAMELESS))
        for (service, category), volume in hour.volumes.items():
            judged = _judge(category, volume, quiet=seen < PRESENT)
            if judged and volume:
                sure, why = judged
                step = max(0, sure - 1) if service in shared else sure
                found = Piece(hour.device, service, category, hour.at, volume, SURE[step], why)
                made.append(found)
    return made


def _judge(category: str, volume: int, *, quiet: bool) -> tuple[int, str] | None:
    """How sure it is, as a place in ``SURE``, and why; ``None``: it is no background use."""
    if category in BY_ITSELF:
        return 2, "itself"
    if category in EITHER:
        return (2, "quiet") if quiet else (1, "beside")
    if category == PLAYED and volume >= DOWNLOAD:
        return (1, "quiet") if quiet else (0, "beside")
    if category in PATTERN and quiet:
        return 0, "pattern"
    return None


def drains(found: Iterable[Piece], now: int) -> list[Drain]:
    """Rule 6: the stretches that are large enough, the largest first."""
    by_use: dict[tuple[str, str], list[list[Piece]]] = {}
    for piece in sorted(found, key=lambda one: one.at):
        stretches = by_use.setdefault((piece.device, piece.service), [])
        if stretches and piece.at - stretches[-1][-1].at <= (GAP_H + 1) * HOUR_S:
            stretches[-1].append(piece)
        else:
            stretches.append([piece])
    made = [
        Drain(tuple(stretch), min(now, stretch[-1].at + HOUR_S))
        for stretches in by_use.values()
        for stretch in stretches
    ]
    large = (one for one in made if one.volume >= LEAST)
    return sorted(large, key=lambda one: (-one.volume, one.since, one.device, one.service))


def pause_command(name: str, what: str) -> str:
    """What pauses ``what`` (a slug or a category) on the device of this name."""
    return f"tripgate policy pause {what} --for device:{name} --until unmetered"
