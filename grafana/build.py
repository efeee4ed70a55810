"""Writes the dashboards: ``python -m grafana.build``."""

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

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
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {name: encoder.encode(_numbered(make())) + "\n" for name, make in PAGES.items()}


def _numbered(page: Dashboard) -> model.Dashboard:
    """Panels need ids of their own, for links to one panel."""
    made = page.build()
    for number, panel in enumerate(made.panels or [], start=1):
        panel.id_val = number
    return made


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in build().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
