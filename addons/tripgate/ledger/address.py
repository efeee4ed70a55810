"""Where Redis is: the URL taken apart, and its address without the password for messages.

Rules
1. ``unix:///PATH``, ``redis://HOST:PORT/DB``, ``rediss://HOST:PORT/DB``, with ``USER:PASSWORD@``
   where needed; of options only ``?db=N``. Anything else is refused.
2. What is wrong is told without repeating the URL.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from tripgate.ledger.protocol import LedgerDown

FORMS = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
URL_MOST = 512
PORT = 6379
_DB = re.compile(r"[0-9]{1,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """How to connect; ``str()`` is what a message may show."""

    scheme: str
    place: str
    port: int = 0
    db: int = 0
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        host = f"[{self.place}]" if ":" in self.place else self.place
        where = self.place if self.scheme == "unix" else f"{host}:{self.port}"
        return f"{self.scheme}://{where}{f'/{self.db}' if self.db else ''}"

    def __repr__(self) -> str:
        return f"<{self}>"


def parse(url: str) -> Address:
    """The address of a Redis URL. Raises :class:`LedgerDown`."""
    try:
        parts = _split(url)
        return Address(
            scheme=parts.scheme,
            place=unquote(parts.path) if parts.scheme == "unix" else parts.hostname or "",
            port=0 if parts.scheme == "unix" else parts.port or PORT,
            db=_db(parts),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )
    except ValueError:
        raise LedgerDown(f"the URL of Redis is not one: write {FORMS}") from None


def is_at(url: str, socket: Path) -> bool:
    """Is it the Redis that listens on ``socket``, whoever asks? Raises :class:`LedgerDown`."""
    where = parse(url)
    return (where.scheme, where.place) == ("unix", str(socket))


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    place = parts.path if parts.scheme == "unix" else parts.hostname
    good = parts.scheme in ("redis", "rediss", "unix") and place and parts.port != 0
    if not good or len(url) > URL_MOST or not url.isprintable():
        raise ValueError
    return parts


def _db(parts: SplitResult) -> int:
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    db = options.pop("db", path or "0")
    if options or parts.fragment or not _DB.fullmatch(db):
        raise ValueError
    return int(db)
