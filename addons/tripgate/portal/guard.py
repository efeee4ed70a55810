"""What is checked of every request before a page sees it.

Rules
1. The client's address says who it is; one that the gateway does not serve gets nothing.
2. ``Host`` names the portal or the request is not answered: a page elsewhere whose name was pointed
   at the gateway (DNS rebinding) must not read it. An address cannot be rebound; as captive portal
   only the portal's own will do, and everything else is sent to the portal.
3. A change comes by POST, from a page of this very origin (``Origin``, and ``Sec-Fetch-Site`` where
   there is one), with a token that only such a page knows: it is made from a random cookie
   (``SameSite=Strict``), the device's identity and a key that dies with the process.
4. A form is bounded in bytes, fields and time.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tripgate.core import address
from tripgate.portal import look
from tripgate.portal.words import Words, for_reader
from tripgate.portal.world import PortalSettings, World

FORM_MOST = 4096
FIELDS_MOST = 8
FORM_S = 5.0
COOKIE = "tripgate-form"
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_COOKIE = re.compile(r"[0-9a-f]{32}")


class FormError(Exception):
    """A form that is not taken. ``status``: 400, 403, 408 or 413."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the identity of the device, the words for its reader, the cookie for forms.

    ``new``: the cookie was made for this answer.
    """

    identity: str
    words: Words
    cookie: str
    token: str
    new: bool = True


def visitor(request: Request) -> Visitor:
    """The visitor that the guard let in."""
    found = request.scope["tripgate.visitor"]
    assert isinstance(found, Visitor)
    return found


class Guard:
    """ASGI middleware: rules 1 to 3, and the headers of every answer."""

    def __init__(self, app: ASGIApp, world: World, settings: PortalSettings) -> None:
        self._app, self._world, self._settings = app, world, settings
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked = Visitor("", for_reader(""), "", "")

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_headers(asked)]
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is None:
            asked = self._visitor(request)
            scope["tripgate.visitor"] = asked
            if request.method not in ("GET", "HEAD", "POST"):
                refusal = PlainTextResponse("no such method\n", 405, {"Allow": "GET, HEAD, POST"})
        await (refusal or self._app)(scope, receive, sealed)

    def _refusal(self, request: Request) -> Response | None:
        peer, local = _ends(request.scope)
        if peer is None or self._world.recognise(peer, local) is None:
            return PlainTextResponse("this portal answers devices of its own network\n", 403)
        host = request.headers.get("host", "").lower()
        if is_ours(host, local, self._settings):
            return None
        if self._settings.captive:
            return RedirectResponse(self._settings.url, 302)
        return PlainTextResponse("this name is not the portal's: open it by its address\n", 421)

    def _visitor(self, request: Request) -> Visitor:
        peer, local = _ends(request.scope)
        identity = self._world.recognise(peer or "", local) or ""
        cookie = request.cookies.get(COOKIE, "")
        known = _COOKIE.fullmatch(cookie) is not None
        cookie = cookie if known else secrets.token_hex(16)
        words = for_reader(request.headers.get("accept-language", ""))
        token = hmac.new(self._key, f"{cookie} {identity}".encode(), hashlib.sha256).hexdigest()
        return Visitor(identity, words, cookie, token, new=not known)


def is_ours(host: str, local: str, settings: PortalSettings) -> bool:
    """Rule 2. ``host`` in lower case; ``local``: the address that the request came in on."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]")
    try:
        literal = address.unwrap(ipaddress.ip_address(name))
    except ValueError:
        return name.removesuffix(".") in settings.names
    own = address.unwrap(ipaddress.ip_address(local)) if local else None
    return literal == own or not settings.captive


async def form(request: Request) -> Mapping[str, str]:
    """The fields of a POST that rules 3 and 4 let pass. Raises :class:`FormError`."""
    _same_origin(request.headers, request.url.scheme)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormError(400)
    try:
        async with asyncio.timeout(FORM_S):
            text = (await _body(request)).decode("ascii")
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MOST))
    except TimeoutError:
        raise FormError(408) from None
    except (ValueError, ClientDisconnect):
        raise FormError(400) from None
    known = visitor(request)
    given = fields.get("token", "").encode()
    if not hmac.compare_digest(given, known.token.encode()):
        raise FormError(403)
    return fields


def _same_origin(headers: Headers, scheme: str) -> None:
    origin = headers.get("origin", "").lower()
    site = headers.get("sec-fetch-site", "same-origin")
    if origin != f"{scheme}://{headers.get('host', '').lower()}" or site != "same-origin":
        raise FormError(403)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_MOST:
            raise FormError(413)
    return bytes(body)


def _ends(scope: Scope) -> tuple[str | None, str]:
    """The client's and our own address of the connection, without IPv6 zones."""
    client, server = scope.get("client"), scope.get("server")
    local = server[0].partition("%")[0] if server else ""
    return (client[0].partition("%")[0] if client else None), local


def _headers(asked: Visitor) -> list[tuple[bytes, bytes]]:
    made = [(name.lower().encode(), value.encode()) for name, value in look.headers()]
    if asked.cookie and asked.new:
        value = f"{COOKIE}={asked.cookie}; Path=/; HttpOnly; SameSite=Strict"
        made.append((b"set-cookie", value.encode()))
    return made
