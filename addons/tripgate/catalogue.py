"""The catalogue that the package brings, with the lists that people put in the state folder.

Rules
1. ``STATE/lists/CATEGORY.txt`` and ``STATE/lists/CATEGORY.ANYTHING.txt`` add hosts to a category
   (:mod:`tripgate.core.lists` says in which forms). A file of any other name is left alone.
2. What the catalogue itself lists stands: a list never takes a host out of its service.
3. A list that cannot be read is named in the log, and the rest is used.
"""

import importlib.resources
import logging
from pathlib import Path

from tripgate.core import lists
from tripgate.core.classify import CATEGORIES, Catalogue, Service

FOLDER = "lists"
MOST_FILES = 50

log = logging.getLogger("tripgate.catalogue")


def load(state: Path | None = None) -> Catalogue:
    """The catalogue, and the lists of the state folder if one is given."""
    data = importlib.resources.files("tripgate") / "data" / "services.toml"
    shipped = Catalogue.parse(data.read_text(encoding="utf-8"))
    files = sorted((state / FOLDER).glob("*.txt"))[:MOST_FILES] if state else []
    extra: dict[str, Service] = {}
    for file in files:
        extra.update(
            dict.fromkeys(_hosts(file), Service(f"list {file.stem}"[:40], _category(file)))
        )
    return shipped.extended(extra) if extra else shipped


def _category(file: Path) -> str:
    return file.name.partition(".")[0]


def _hosts(file: Path) -> tuple[str, ...]:
    if _category(file) not in CATEGORIES:
        log.warning("%s is no list: its name begins with no category", file)
        return ()
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            found = lists.parse(lines)
    except OSError as error:
        log.warning("%s cannot be read: %s", file, error.strerror)
        return ()
    log.info("%s: %d hosts, %d lines skipped", file, len(found.suffixes), found.skipped)
    return found.suffixes
