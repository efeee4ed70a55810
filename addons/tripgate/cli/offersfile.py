"""The file of ``plan compare``: TOML or CSV, small, read strictly.

Rules
1. A regular file of at most ``SIZE_MOST`` bytes, UTF-8. ``.csv`` in the name says CSV,
   anything else is TOML: one ``[[offer]]`` for each.
2. The first line of a CSV file names the columns, each once; no line has more cells than that.
"""

import csv
import io
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from tripgate.cli.failure import Refused
from tripgate.core.offers import Offer, OfferError, offers

SIZE_MOST = 64 * 1024
ROWS_MOST = 2_000


def read(path: Path) -> tuple[Offer, ...]:
    """Raises :class:`Refused`: one line that names the file, the offer and what to do."""
    text = _text(path)
    try:
        rows = _of_csv(text) if path.suffix.lower() == ".csv" else _of_toml(text)
        return offers(rows)
    except OfferError as error:
        raise Refused(f"{path}: {error}") from None


def _text(path: Path) -> str:
    try:
        # a pipe or a device would be waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refused(f"{path} is no file: name a file of offers")
            raw = file.read(SIZE_MOST + 1)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}: name a file of offers") from None
    if len(raw) > SIZE_MOST:
        raise Refused(f"{path} is larger than {SIZE_MOST // 1024} KiB: leave some offers out")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{path} is not text in UTF-8: save it as such") from None


def _of_toml(text: str) -> list[Any]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise OfferError(f"it is not TOML ({error}): see the example in docs") from None
    unknown = sorted(set(document) - {"offer"})
    if unknown:
        raise OfferError(f"{unknown[0][:30]!r} is unknown: write [[offer]] above each offer")
    rows = document.get("offer", [])
    if not isinstance(rows, list):
        raise OfferError("offer is no list: write [[offer]] above each offer")
    return rows


def _of_csv(text: str) -> list[Any]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if any(line)]
    except csv.Error as error:
        raise OfferError(f"it is not CSV ({error}): quote texts that have commas") from None
    if not lines:
        return []
    heads, *rest = lines
    if len(set(heads)) != len(heads):
        raise OfferError("two columns have one name: name each once")
    for number, line in enumerate(rest[:ROWS_MOST], 1):
        if len(line) != len(heads):
            raise OfferError(
                f"offer {number} {line[0][:60]!r} has {len(line)} cells: "
                f"the first line names {len(heads)} columns"
            )
    return [dict(zip(heads, line, strict=True)) for line in rest[:ROWS_MOST]]
