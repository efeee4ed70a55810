"""Names from outside, cleaned: host names of flows, and names that people give.

Rules
1. A host name is lower-case letters, digits, hyphen, underscore and dots (what DNS carries and
   clients send), labels of at most 63 and 253 characters in all (RFC 1035 section 2.3.4); a
   trailing dot is dropped. Anything else is no name.
2. A name that a person gives is 1 to 32 of ``a-z``, ``0-9`` and hyphen.
"""

import re

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAME = re.compile(r"[a-z0-9-]{1,32}")
HOST_MAX = 253


def clean_host(raw: str | bytes) -> str | None:
    """The host name in its one form, or ``None`` if it is none."""
    if len(raw) > HOST_MAX + 1:
        return None
    try:
        text = raw.decode("ascii") if isinstance(raw, bytes) else raw
        text = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    text = text.lower().removesuffix(".")
    return text if len(text) <= HOST_MAX and _HOST.fullmatch(text) else None


def valid_name(text: str) -> bool:
    """True if a device or a person may be called that: not like an option, nor like the plan."""
    return _NAME.fullmatch(text) is not None and not text.startswith("-") and text != "plan"
