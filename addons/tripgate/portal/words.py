"""What the pages say, in the reader's language. The texts are data: ``locales/*.toml``.

Rules
1. Every language has the same words with the same placeholders (a test compares them); a word that
   is missing is an error at start, never an empty place on a page.
2. Volumes are decimal or binary as the plan says, with the language's own decimal mark and its
   word for byte (French counts in octets). Instants are local to the plan's zone, which is named.
3. Words are plain text: escaping is the template's.
"""

import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tripgate.core import language
from tripgate.core.book import Book
from tripgate.core.model import Period, Target
from tripgate.core.units import format_volume

LANGUAGES = ("en", "es", "zh", "fr", "de", "pt", "it", "ja")
NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Words:
    """One language. ``tag`` is its language tag (RFC 5646)."""

    tag: str
    decimal: str
    byte: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    moment_form: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text ``key``. Raises ``KeyError`` for an unknown key or placeholder."""
        return self.texts[key].format_map(values) if values else self.texts[key]

    def volume(self, size: int, unit: str = "GB") -> str:
        """``1.23 GB``, ``1,23 Go``; ``unit`` as in the plan (``GB`` or ``GiB``)."""
        number, name = format_volume(size, unit).split(" ")
        return f"{number.replace('.', self.decimal)}{NO_BREAK}{name.replace('B', self.byte)}"

    def moment(self, at: int, zone: str) -> str:
        """Weekday, date and minute in ``zone``; ``at`` in UTC epoch seconds."""
        local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone))
        return self.moment_form.format(
            weekday=self.weekdays[local.weekday()],
            day=local.day,
            month=self.months[local.month - 1],
            time=f"{local:%H:%M}",
        )

    def scope(self, target: Target) -> str:
        """Whose a limit is, in words."""
        return self(f"scope_{target.kind}", name=target.key)

    def limit(self, size: int, period: Period, unit: str = "GB") -> str:
        """``500 MB per day``."""
        return self("volume_per", volume=self.volume(size, unit), per=self(f"per_{period}"))


def for_reader(accept_language: str) -> Words:
    """The words for an ``Accept-Language`` header."""
    return load(language.choose(accept_language, LANGUAGES))


@cache
def load(tag: str) -> Words:
    """The words of one of ``LANGUAGES``."""
    file = importlib.resources.files("tripgate.portal") / "locales" / f"{tag}.toml"
    document: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    return Words(
        tag,
        document["decimal"],
        document["byte"],
        tuple(document["weekdays"]),
        tuple(document["months"]),
        document["moment"],
        document["words"],
    )


def zone_of(book: Book) -> str:
    return book.plan.tz if book.plan else "UTC"


def unit_of(book: Book) -> str:
    return book.plan.unit if book.plan else "GB"
