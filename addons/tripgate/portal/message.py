"""A page that says that something did not work, and why."""

from starlette.responses import HTMLResponse, Response

from tripgate.portal import look
from tripgate.portal.words import Words


def failed(words: Words, why: str, status: int) -> Response:
    """``why``: the key of the reason."""
    return HTMLResponse(look.render("failed", words, why=words(why), refresh=0), status)
