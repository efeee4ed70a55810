"""The committed dashboards, as tests read them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
FILES = ("trip.json", "device.json", "categories.json", "health.json")


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel."""

    page: str
    panel: str
    ref: str
    expr: str

    def __str__(self) -> str:
        return f"{self.page}: {self.panel} {self.ref}"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def panels(page: Any) -> list[Any]:
    """All panels but rows."""
    found = []
    for panel in page["panels"]:
        found += panel.get("panels", []) if panel["type"] == "row" else [panel]
    return found


def queries(name: str) -> Iterator[PanelQuery]:
    title = load(name)["title"]
    for panel in panels(load(name)):
        for target in panel["targets"]:
            yield PanelQuery(title, panel["title"], target["refId"], target["expr"])


EVERY_QUERY = [query for name in FILES for query in queries(name)]
