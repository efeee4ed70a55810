"""The fields of usage buckets as the first gateways wrote them, in today's names.

Rules
1. ``SERVICE|CATEGORY|u`` is ``cSERVICE|u``, ``CATEGORY|MINUTE|u`` (in ``minute`` buckets) is
   ``c7u``: :mod:`tripgate.core.usage` says what they mean. Two bars tell the old from the new.
2. A category that is not known any more is ``unknown``; no byte is lost by it.
"""

from tripgate.core.classify import UNKNOWN
from tripgate.core.usage import LETTERS


def renamed(bucket: str, field: str) -> str:
    """Today's name of a field of ``bucket``; one of today stays."""
    first, second, direction = (*field.split("|", 2), "", "")[:3]
    if field.count("|") != 2 or direction not in ("u", "d"):
        return field
    minutes = bucket.split(":")[2:3] == ["minute"]
    category = first if minutes else second
    letter = LETTERS.get(category, LETTERS[UNKNOWN.category])
    if minutes:
        return f"{letter}{second}{direction}"
    return f"{letter}{'' if first == UNKNOWN.name else first}|{direction}"
