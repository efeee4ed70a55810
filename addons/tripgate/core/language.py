"""Which language a reader gets: ``Accept-Language`` (RFC 9110 section 12.5.4).

Rules
1. A range matches by its first subtag (RFC 4647 section 3.4, lookup): ``es-MX`` is served ``es``.
2. The highest weight wins, of equal ones the first; a weight of 0 is never served.
3. Header and ranges are bounded; what is malformed is passed over, not guessed at.
"""

import re
from collections.abc import Sequence

HEADER_MOST = 1_000
RANGES_MOST = 32
_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8}){0,4}\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?\s*"
)


def choose(header: str, available: Sequence[str]) -> str:
    """The tag of ``available`` that suits the reader best; the first one if none does."""
    best, weight = available[0], 0.0
    for part in header[:HEADER_MOST].split(",", RANGES_MOST)[:RANGES_MOST]:
        match = _RANGE.fullmatch(part)
        if match is None:
            continue
        tag, quality = match[1].lower(), float(match[2] or 1)
        if tag in available and quality > weight:
            best, weight = tag, quality
    return best
