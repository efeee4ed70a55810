"""Calls and answers as the scripts exchange them: JSON one way, digits the other.

Rules
1. Volumes are whole and below 2^53 bytes: Lua counts in doubles. Anything else is a mistake of
   the caller (``ValueError``), never rounded.
2. No limit is -1. Increments of one bucket are sent together.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tripgate.core import bookcodec
from tripgate.core.book import Book, BookError
from tripgate.core.model import Limit, Session
from tripgate.core.usage import Increment
from tripgate.ledger.protocol import Grant, GrantRequest, Settlement

MOST = 2**53 - 1
_WORD = re.compile(r"[!-~]{1,64}")


def grant(request: GrantRequest, gateway: str, instance: str) -> str:
    """The argument of ``grant.lua``."""
    return _json(
        {
            "gateway": gateway,
            "instance": instance,
            "version": request.book_version,
            "lease": request.lease,
            "device": request.device,
            "have": _amount(request.have),
            "want": _amount(request.want),
            "trusted": request.trusted,
            "session": _session(request.session),
            "limits": [
                [
                    *_place(limit),
                    _limit(limit),
                    request.share.get(limit.target, 1),
                    limit.soft,
                ]
                for limit in request.limits
            ],
        }
    )


def granted(answer: Sequence[str], request: GrantRequest) -> Grant:
    """The answer ``ok`` of ``grant.lua``."""
    _, volume, final, left, binding, used, reached = answer
    return Grant(
        granted=int(volume),
        final=final == "1",
        left=int(left) if left else None,
        binding=request.limits[int(binding) - 1] if int(binding) else None,
        binding_used=int(used),
        reached=tuple(request.limits[int(index) - 1] for index in reached.split(",") if index),
    )


def settle(
    rows: Iterable[Settlement], seen: Mapping[str, int], now: int, gateway: str, instance: str
) -> str:
    """The argument of ``settle.lua``."""
    return _json(
        {
            "gateway": gateway,
            "instance": instance,
            "now": now,
            "seen": seen,
            "rows": [_row(row) for row in rows],
        }
    )


def book(settings: Book) -> str:
    """The book as text that can be read again. Raises :class:`BookError`."""
    text = bookcodec.dump(settings)
    if len(text) > bookcodec.MOST_BYTES:
        raise BookError("these settings are too large: remove devices or caps first")
    return text


def _row(row: Settlement) -> list[Any]:
    return [
        row.lease,
        row.device,
        _amount(row.granted),
        _amount(row.used),
        row.final,
        row.trusted,
        [_place(limit) for limit in row.limits],
        _amount(row.parts),
        _buckets(row.increments),
        _buckets(row.rest),
        _session(row.session),
    ]


def _session(session: Session | None) -> list[Any] | None:
    if session is None:
        return None
    if not (_WORD.fullmatch(session.uplink) and _WORD.fullmatch(session.id) and session.step > 0):
        raise ValueError(f"{session} is no session")
    return [session.uplink, session.id, _amount(session.step)]


def _buckets(increments: Iterable[Increment]) -> list[Any]:
    found: dict[str, list[Any]] = {}
    for one in increments:
        bucket = found.setdefault(one.bucket, [one.bucket, one.ttl or 0, 0, []])
        bucket[2] = max(bucket[2], one.most or 0)
        bucket[3] += (one.field, _amount(one.amount))
    return list(found.values())


def _place(limit: Limit) -> list[Any]:
    return [str(limit.target), str(limit.period), _amount(limit.start)]


def _limit(limit: Limit) -> int:
    return -1 if limit.limit is None else _amount(limit.limit)


def _amount(volume: int) -> int:
    if not 0 <= volume <= MOST:
        raise ValueError(f"{volume} is not a volume from 0 to below 2^53")
    return volume


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
