"""The name that a device gives itself by DHCP (option 12): hostile until it is cleaned.

Rule: 1 to 32 of ``a-z``, ``0-9`` and inner hyphens, upper case folded; only the first label of a
longer name counts. Anything else, and names that say nothing, are no name: it is never repaired,
so that no part of a hostile name is ever shown.
"""

import re

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_EMPTY = frozenset({"localhost", "android", "unknown", "null", "none"})
_RAW_MOST = 255


def clean_hostname(raw: str) -> str | None:
    """The name by the rule above; ``None`` if there is none."""
    if len(raw) > _RAW_MOST or not raw.isascii():
        return None
    name = raw.lower().partition(".")[0]
    return name if _LABEL.fullmatch(name) and name not in _EMPTY else None
