"""Extra host lists from files, in the forms that people find: plain hosts, AdGuard, v2fly.

Rules
1. Every rule of a list is a host suffix. A line is one rule; ``#`` and ``!`` begin a comment.
2. Plain: ``example.com``, or a line of a hosts file (``0.0.0.0 example.com``). AdGuard:
   ``||example.com^``. v2fly text: ``domain:example.com``, ``full:www.example.com``, and a bare
   name; an attribute (``@ads``, ``@cn``) is dropped.
3. What is anything else (``regexp:``, ``keyword:``, ``include:``, exceptions, paths, addresses) is
   skipped and counted, never guessed at. ``full:`` matches deeper names too: suffixes are all there
   is.
4. A list is bounded: ``MOST_RULES`` rules, the rest is counted as skipped.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tripgate.core.names import clean_host

MOST_RULES = 500_000
LINE_MAX = 1_024

_ADGUARD = re.compile(r"\|\|([^/^$*|]+)\^")
_HOSTS_FILE = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(\S+)")
_ADDRESS = re.compile(r"[\d.]+")


@dataclass(frozen=True, slots=True)
class HostList:
    """The suffixes of a list, in order and once each, and how many lines were no rule."""

    suffixes: tuple[str, ...]
    skipped: int = 0


def parse(lines: Iterable[str]) -> HostList:
    """Read a list, line by line; never fails."""
    found: dict[str, None] = {}
    skipped = 0
    for line in lines:
        text = _bare(line)
        if not text:
            continue
        host = _host(text) if len(line) <= LINE_MAX else None
        if host is None or (len(found) >= MOST_RULES and host not in found):
            skipped += 1
        else:
            found[host] = None
    return HostList(tuple(found), skipped)


def _bare(line: str) -> str:
    """The line without comment, attributes and blanks."""
    text = line[: LINE_MAX + 1].partition("#")[0].strip()
    if text.startswith(("!", "[")):
        return ""
    return re.sub(r"\s+@[\w!-]+", "", text)


def _host(text: str) -> str | None:
    if match := _ADGUARD.fullmatch(text) or _HOSTS_FILE.fullmatch(text):
        text = match[1]
    else:
        for prefix in ("domain:", "full:"):
            text = text.removeprefix(prefix)
    if _ADDRESS.fullmatch(text) or ":" in text or "." not in text:
        return None
    return clean_host(text)
