"""Proxy users: a device that says who it is, by a name and a secret (RFC 7617, RFC 1929).

Rules
1. The secret is made here, never chosen: 128 random bits cannot be guessed, so a plain SHA-256 of
   it may be stored.
2. Only the digest is stored; the secret is shown once, and is in no log, audit or error.
3. Credentials that are too long, badly coded or incomplete are wrong credentials.
"""

import base64
import binascii
import hmac
from hashlib import sha256

SECRET_BYTES = 16
SECRET_MOST = 64
HEADER_MOST = 256


def identity(user: str) -> str:
    """How the book names such a client."""
    return f"user:{user}"


def digest(secret: str) -> str:
    """What is stored of a secret."""
    return sha256(secret.encode()).hexdigest()


def fits(secret: str, stored: str | None) -> bool:
    """Is ``stored`` the digest of ``secret``? In constant time; nothing fits where none is."""
    return hmac.compare_digest(digest(secret[:SECRET_MOST]), stored or "")


def parse_basic(header: str) -> tuple[str, str]:
    """User and secret of ``Proxy-Authorization``. ``ValueError``, without the header's text."""
    scheme, _, coded = header.strip().partition(" ")
    if scheme.lower() != "basic" or len(header) > HEADER_MOST:
        raise ValueError("no basic credentials")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise ValueError("the credentials are badly coded") from None
    user, colon, secret = text.partition(":")
    if not colon:
        raise ValueError("the credentials are incomplete")
    return user, secret
