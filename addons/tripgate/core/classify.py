"""From a host name to the service behind it, by the longest suffix.

Rules
1. A suffix matches whole labels: ``example.com`` matches itself and ``a.example.com``.
2. The longest suffix wins, wherever it stands in the catalogue.
3. What no suffix matches is ``unknown``: no guesses.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tripgate.core.names import clean_host

CATEGORIES = frozenset(
    {
        "os-update", "app-store", "browser", "cloud-sync", "backup", "telemetry", "ads", "video",
        "music", "games", "social", "chat", "meetings", "email", "maps", "ai", "news",
        "shopping", "travel", "finance", "dev", "vpn", "dns", "smart-home", "security", "cdn",
        "connectivity-check", "essential",
    }
)  # fmt: skip


class CatalogueError(ValueError):
    """The catalogue's text is not as it must be; says where."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service as people know it. ``low`` confidence: its hosts serve other things too."""

    name: str
    category: str
    confidence: str = "high"


UNKNOWN = Service("unknown", "unknown", "none")


class Catalogue:
    """Suffixes and their services."""

    def __init__(self, suffixes: Mapping[str, Service]) -> None:
        self._suffixes = dict(suffixes)

    @classmethod
    def parse(cls, text: str) -> "Catalogue":
        """From TOML: ``[[service]]`` tables with ``name``, ``category``, ``hosts``.

        Raises :class:`CatalogueError`.
        """
        try:
            tables = tomllib.loads(text).get("service", [])
        except tomllib.TOMLDecodeError as error:
            raise CatalogueError(f"not TOML: {error}") from error
        if not isinstance(tables, list):
            raise CatalogueError("service is no list of tables: write [[service]]")
        suffixes: dict[str, Service] = {}
        for table in tables:
            service = _service(table)
            for raw in table["hosts"]:
                host = clean_host(raw) if isinstance(raw, str) else None
                if host is None or host in suffixes:
                    fault = "no host name" if host is None else "listed twice"
                    raise CatalogueError(f"{service.name}: {raw!r} is {fault}")
                suffixes[host] = service
        return cls(suffixes)

    def __len__(self) -> int:
        return len(self._suffixes)

    @property
    def suffixes(self) -> Mapping[str, Service]:
        """Every suffix and its service."""
        return self._suffixes

    @cached_property
    def services(self) -> Mapping[str, Service]:
        """Every service by its slug: the name in small letters, one hyphen for the rest."""
        return {slug(service.name): service for service in self._suffixes.values()}

    @cached_property
    def shared(self) -> frozenset[str]:
        """Names of services whose hosts serve other things too."""
        return frozenset(
            service.name for service in self._suffixes.values() if service.confidence == "low"
        )

    def thing(self, text: str) -> str | None:
        """What a person means: a category, the name of a service, ``all``; ``None`` if unknown."""
        if text == "all" or text in CATEGORIES or text == UNKNOWN.category:
            return text
        found = self.services.get(slug(text))
        return found.name if found else None

    def extended(self, suffixes: Mapping[str, Service]) -> "Catalogue":
        """With more suffixes; where both have one, the catalogue's own stands."""
        return Catalogue({**suffixes, **self._suffixes})

    def classify(self, host: str | None) -> Service:
        """The service of a clean host name; :data:`UNKNOWN` for none."""
        while host:
            if service := self._suffixes.get(host):
                return service
            host = host.partition(".")[2]
        return UNKNOWN


def slug(name: str) -> str:
    """``Windows Update`` as it is typed: ``windows-update``."""
    return re.sub(r"[^a-z0-9+]+", "-", name.lower()).strip("-")


def _service(table: Any) -> Service:
    allowed = {"name", "category", "hosts", "confidence"}
    if not isinstance(table, dict) or not {"name", "category", "hosts"} <= table.keys() <= allowed:
        raise CatalogueError(f"a service has name, category, hosts and confidence: {table!r:.80}")
    name, category, confidence = table["name"], table["category"], table.get("confidence", "high")
    texts = all(isinstance(one, str) for one in (name, category, confidence))
    if not texts or category not in CATEGORIES or confidence not in ("high", "low"):
        raise CatalogueError(f"{name!r:.40}: no such category or confidence")
    if not isinstance(table["hosts"], list):
        raise CatalogueError(f"{name!r:.40}: hosts is a list of names")
    if not 1 <= len(name) <= 40 or "|" in name:
        raise CatalogueError(f"{name!r:.60} is no name of a service")
    return Service(name, category, confidence)
