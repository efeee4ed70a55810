"""Refusals as whole HTTP/1.1 responses: what a client gets in place of what it asked for.

Rules
1. The status says whose move it is: 511 (RFC 6585 section 6) where the person or the owner can end
   it, 503 where the gateway must, 403 and 400 where the request cannot be served at all.
2. A client that takes ``text/html`` gets a page, every other one plain text; both say the same, in
   the reader's language: which limit, whose, what was used, when it ends, what to do.
3. The page belongs to no site: nothing is fetched, nobody keeps it, the connection ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tripgate.core import period
from tripgate.core.book import EMPTY, Book
from tripgate.core.model import Cap, Device, Limit, Period
from tripgate.core.policy import Policy
from tripgate.core.units import format_window
from tripgate.portal import look
from tripgate.portal.words import Words, for_reader, unit_of, zone_of

KINDS = ("cap", "pending", "blocked", "ledger", "destination", "request", "policy")
_STATUS = {
    "ledger": "503 Service Unavailable",
    "destination": "403 Forbidden",
    "request": "400 Bad Request",
}
_CAPTIVE = "511 Network Authentication Required"
RETRY_AFTER_S = 30


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a client is refused. ``limit`` and ``used`` belong to the kind ``cap``, ``cap`` too where
    it leaves the essentials; ``policy`` and the name of the ``service`` to the kind ``policy``."""

    kind: str
    device: Device | None = None
    limit: Limit | None = None
    used: int = 0
    book: Book = field(default=EMPTY)
    cap: Cap | None = None
    policy: Policy | None = None
    service: str = ""


def respond(
    refused: Refused, header: Callable[[str], str | None], portal: str | None, *, head: bool = False
) -> bytes:
    """The whole response. ``header``: the request's headers by name; ``head``: without the body.

    ``portal`` is the address of the portal as this client reaches it.
    """
    words = for_reader(header("accept-language") or "")
    html = "text/html" in (header("accept") or "").lower()
    body = (_page if html else _text)(words, refused, portal).encode()
    fields = [
        ("Content-Type", f"text/{'html' if html else 'plain'}; charset=utf-8"),
        ("Content-Language", words.tag),
        ("Content-Length", str(len(body))),
        *look.headers(),
        ("Connection", "close"),
    ]
    status = _STATUS.get(refused.kind, _CAPTIVE)
    if refused.kind == "ledger":
        fields.append(("Retry-After", str(RETRY_AFTER_S)))
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("ascii") + (b"" if head else body)


def _kind(refused: Refused) -> str:
    """The key of the texts; a kind that has none is a policy's."""
    return refused.kind if refused.kind in KINDS else "policy"


def _facts(words: Words, refused: Refused) -> list[tuple[str, str]]:
    """Names and values, in the order of reading."""
    facts = []
    if refused.device:
        facts.append((words("device_word"), refused.device.name))
    if refused.service:
        facts.append((words("service_word"), refused.service))
    if refused.policy:
        facts.append((words("paused_until"), _end_of(words, refused.book, refused.policy)))
    if refused.cap:
        facts.append((words("whose"), words.scope(refused.cap.target)))
        limit_ = words.limit(refused.cap.limit, refused.cap.period, unit_of(refused.book))
        facts.append((words("limit_word"), limit_))
    if refused.limit is None or refused.limit.limit is None:
        return facts
    book, limit = refused.book, refused.limit
    unit = unit_of(book)
    facts += [
        (words("whose"), words.scope(limit.target)),
        (words("limit_word"), words.limit(limit.limit or 0, limit.period, unit)),
        (words("used"), words.volume(refused.used, unit)),
        (words("until"), _until(words, book, limit)),
    ]
    return facts


def _end_of(words: Words, book: Book, policy: Policy) -> str:
    """Everything that ends a pause: nobody knows which comes first."""
    zone = zone_of(book)
    said = []
    if policy.daily:
        said.append(words("every_day", hours=f"{format_window(policy.daily)} ({zone})"))
    if policy.until is not None:
        said.append(f"{words.moment(policy.until, zone)} ({zone})")
    if policy.until_unmetered:
        said.append(words("until_unmetered"))
    return ", ".join(said) or words("until_owner")


def _until(words: Words, book: Book, limit: Limit) -> str:
    """When the limit starts again; the last instant of the plan for a trip's."""
    ends_at = period.ends(limit.period, book.plan, limit.start)
    if ends_at is None or limit.period is Period.TRIP:
        return words("never_restarts")
    zone = zone_of(book)
    return f"{words.moment(ends_at, zone)} ({zone})"


def _page(words: Words, refused: Refused, portal: str | None) -> str:
    kind = _kind(refused)
    return look.render(
        "refusal",
        words,
        kind=kind,
        title=words(f"title_{kind}"),
        text=words(f"text_{kind}"),
        todo=words(f"todo_{kind}"),
        facts=_facts(words, refused),
        share=words("used_up") if kind == "cap" else "",
        portal=portal,
        refresh=0,
    )


def _text(words: Words, refused: Refused, portal: str | None) -> str:
    kind = _kind(refused)
    lines = [words(f"title_{kind}"), words(f"text_{kind}"), ""]
    lines += [f"{name}: {value}" for name, value in _facts(words, refused)]
    lines += ["", words(f"todo_{kind}"), *([f"{words('see_portal')}: {portal}"] if portal else [])]
    return "\n".join(lines).replace("\u00a0", " ") + "\n"
