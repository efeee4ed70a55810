"""Writes the dashboards: ``python -m grafana.build``."""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import categories, device, health, trip

FOLDER = Path(__file__).parent / "dashboards"
PAGES = {
    "trip.json": trip.page,
    "device.json": device.page,
    "categories.json": categories.page,
    "health.json": health.page,
}


def build() -> dict[str, str]:
    """The text of every file."""
    texts = {}
    for name, make in PAGES.items():
        page = json.loads(JSONEncoder().encode(make().build()))
        texts[name] = json.dumps(_fit(page), sort_keys=True, indent=2) + "\n"
    return texts


def _fit(page: Any) -> Any:
    """Panels get ids of their own, for links to one panel; defaults that the SDK writes and
    Grafana's schema does not know are taken out."""
    for number, panel in enumerate(page["panels"], start=1):
        panel["id"] = number
        panel.get("options", {}).pop("footer", None)
    for variable in page["templating"]["list"]:
        for key in ("id", "auto", "auto_count", "auto_min"):
            variable.pop(key, None)
    page.pop("style", None)
    return page


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in build().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
