"""The Lua scripts of the ledger, as Redis gets them.

``grant``, ``replace`` and ``settle`` begin with what ``common.lua`` defines; the first line of a
script is its shebang (its flags), so the common part goes in after it.
"""

import importlib.resources
from functools import cache

_SHARING = frozenset({"grant", "replace", "settle"})


@cache
def source(name: str) -> str:
    """The whole text of ``lua/NAME.lua``."""
    text = _read(name)
    if name not in _SHARING:
        return text
    flags, newline, body = text.partition("\n")
    return flags + newline + _read("common") + body


def _read(name: str) -> str:
    file = importlib.resources.files("tripgate.ledger") / "lua" / f"{name}.lua"
    return file.read_text(encoding="utf-8")
