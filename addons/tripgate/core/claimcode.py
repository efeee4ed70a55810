"""The one-time code that makes a device the owner's.

Rules
1. Eight characters of Crockford's base 32 (40 bits), shown as ``XXXX-XXXX``. Case, spaces and
   hyphens do not matter, nor does O for 0, or I and L for 1.
2. A code takes ``TRIES`` wrong answers in all, whoever gives them, then it is void.
3. The comparison takes the same time wherever the first difference is.
"""

import hmac
import json
from dataclasses import dataclass

TRIES = 50
TYPED_MOST = 32
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


@dataclass(frozen=True, slots=True)
class ClaimCode:
    """A code and how many wrong answers it still takes."""

    code: str
    left: int = TRIES

    @property
    def void(self) -> bool:
        return self.left <= 0

    def matches(self, typed: str) -> bool:
        """True for the right answer to a code that is not void."""
        given = normal(typed).encode()
        return hmac.compare_digest(given, normal(self.code).encode()) and not self.void


def make(entropy: int) -> ClaimCode:
    """A new code from 40 random bits."""
    letters = "".join(_ALPHABET[entropy >> shift & 31] for shift in range(35, -1, -5))
    return ClaimCode(f"{letters[:4]}-{letters[4:]}")


def normal(typed: str) -> str:
    return typed[:TYPED_MOST].upper().translate(_ALIKE)


def dump(code: ClaimCode) -> str:
    return json.dumps({"code": code.code, "left": code.left}) + "\n"


def load(text: str) -> ClaimCode | None:
    """What :func:`dump` wrote; ``None`` if it is anything else."""
    try:
        document = json.loads(text)
        code, left = document["code"], document["left"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(code) is not str or type(left) is not int or left > TRIES:
        return None
    plain = code.replace("-", "", 1)
    return ClaimCode(code, left) if len(plain) == 8 and set(plain) <= set(_ALPHABET) else None
