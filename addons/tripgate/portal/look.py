"""How the pages look: templates, one style sheet, one small script, and the policy around them.

Rules
1. A page is whole in itself: style and script are inside, nothing is fetched from anywhere.
2. The content security policy names them by hash; no other style, script, image, frame or form
   target works, whatever a name from outside contains.
3. Everything put into a template is escaped; a variable that is missing is an error.
4. Pages are of the moment and of one device: nobody may keep them (``no-store``).
"""

import base64
import hashlib
import importlib.resources
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from tripgate.portal.words import Words


@cache
def style() -> Markup:
    return _file("style.css")


@cache
def script() -> Markup:
    """Reloads a page now and then, but not while somebody types."""
    return _file("refresh.js")


def _file(name: str) -> Markup:
    text = (importlib.resources.files("tripgate.portal") / "templates" / name).read_text("utf-8")
    return Markup(text)  # noqa: S704 - our own file


@cache
def policy() -> str:
    """The value of ``Content-Security-Policy``."""
    return (
        f"default-src 'none'; style-src '{_hash(style())}'; script-src '{_hash(script())}'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def headers() -> tuple[tuple[str, str], ...]:
    """Of every page. The referrer stays on the portal: a form's ``Origin`` is ``null`` without."""
    return (
        ("Content-Security-Policy", policy()),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Vary", "Accept, Accept-Language"),
    )


def code(text: str) -> Markup:
    """Escaped, with what stands between backquotes as code."""
    parts = [escape(part) for part in text.split("`")]
    marked = (f"<code>{part}</code>" if n % 2 else str(part) for n, part in enumerate(parts))
    return Markup("".join(marked))  # noqa: S704 - every part is escaped


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("tripgate.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = code
    made.globals.update(style=style(), script=script())
    return made


def render(template: str, words: Words, **values: Any) -> str:
    """The HTML of ``templates/TEMPLATE.html``; templates know the words as ``_``."""
    return _templates().get_template(f"{template}.html").render(_=words, **values)
