"""The URL of a channel: what it means, and what of it may be shown.

Rules
1. ``https://…`` (or ``http://…``): a webhook that gets JSON. ``ntfys://[TOKEN@]HOST/TOPIC``,
   ``ntfy://HOST/TOPIC`` (without TLS), ``ntfy://TOPIC`` (at ntfy.sh). ``tgram://TOKEN/CHAT``.
2. No error and no ``where`` repeats more of a URL than its scheme and the server's name: all else
   may be a secret.
"""

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

TELEGRAM = "api.telegram.org"
NTFY = "ntfy.sh"
LONGEST = 2000
FORMS = "https://HOST/PATH, ntfys://HOST/TOPIC, ntfy://TOPIC or tgram://TOKEN/CHAT"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{10,100}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{3,40}")


class AddressError(ValueError):
    """The URL is none that messages can go to; says what is, and repeats nothing of it."""


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where a message is posted. ``auth`` is the value of that header; ``chat`` is Telegram's.

    It has no ``repr``: that would hold the secrets.
    """

    kind: str
    host: str
    port: int
    tls: bool
    path: str
    auth: str | None = None
    chat: str | None = None
    scheme: str = ""

    @property
    def where(self) -> str:
        """What may be shown."""
        usual = 443 if self.tls else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port == usual else f':{self.port}'}/…"


def parse(text: str) -> Address:
    """Raises :class:`AddressError`."""
    if len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise AddressError(f"that is no URL for messages: write {FORMS}")
    scheme = text.partition("://")[0].lower()
    rest = text.partition("://")[2].partition("#")[0]
    try:
        if scheme == "tgram":
            return _telegram(rest)
        if scheme in ("ntfy", "ntfys"):
            return _ntfy(scheme, rest)
        if scheme in ("http", "https"):
            return _webhook(scheme, rest)
    except AddressError:
        raise
    except ValueError:  # of a port, or of brackets: its text has the URL in it
        pass
    raise AddressError(f"that is no URL for messages: write {FORMS}")


def _telegram(rest: str) -> Address:
    token, _, chat = rest.rstrip("/").partition("/")
    if not _TOKEN.fullmatch(token) or not _CHAT.fullmatch(chat):
        raise AddressError("that is no Telegram URL: write tgram://TOKEN_OF_THE_BOT/ID_OF_THE_CHAT")
    path = f"/bot{token}/sendMessage"
    return Address("telegram", TELEGRAM, 443, True, path, None, chat, "tgram")


def _ntfy(scheme: str, rest: str) -> Address:
    if scheme == "ntfy" and _TOPIC.fullmatch(rest.rstrip("/")):
        return Address("ntfy", NTFY, 443, True, f"/{rest.rstrip('/')}", scheme=scheme)
    tls = scheme == "ntfys"
    host, port, path, auth = _server(rest, tls)
    topic = path.strip("/")
    if not all(map(_TOPIC.fullmatch, topic.split("/"))):
        raise AddressError("that is no ntfy URL: write ntfys://HOST/TOPIC or ntfy://TOPIC")
    return Address("ntfy", host, port, tls, f"/{topic}", auth, None, scheme)


def _webhook(scheme: str, rest: str) -> Address:
    tls = scheme == "https"
    host, port, path, auth = _server(rest, tls)
    kind = "ntfy" if host == NTFY and _TOPIC.fullmatch(path.strip("/")) else "webhook"
    return Address(kind, host, port, tls, path or "/", auth, None, scheme)


def _server(rest: str, tls: bool) -> tuple[str, int, str, str | None]:
    """Host, port, path with query, and the header for the user that stands before the host."""
    parts = urlsplit(f"//{rest}")
    host = (parts.hostname or "").rstrip(".")
    if not _HOST.fullmatch(host):
        raise AddressError(f"that URL names no server: write {FORMS}")
    port = parts.port or (443 if tls else 80)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if parts.username is None:
        return host, port, path, None
    user = unquote(parts.username)
    if parts.password is None:
        return host, port, path, f"Bearer {user}"
    pair = f"{user}:{unquote(parts.password)}".encode()
    return host, port, path, f"Basic {base64.b64encode(pair).decode()}"
