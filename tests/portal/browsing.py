"""What a browser on the portal's own page sends with a form."""

import re

import httpx

from tests.portal.worlds import HERE

ORIGIN = f"http://{HERE}"
_TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


async def token(browser: httpx.AsyncClient, path: str = "/") -> str:
    """Open a page; the token of its form. The cookie stays in the browser."""
    match = _TOKEN.search((await browser.get(path)).text)
    assert match
    return match[1]


async def post(
    browser: httpx.AsyncClient, path: str, page: str = "/", **fields: str
) -> httpx.Response:
    """Open ``page``, fill in its form and send it; with a ``token`` given, send it at once."""
    if "token" not in fields:
        fields["token"] = await token(browser, page)
    return await browser.post(path, data=fields, headers={"Origin": ORIGIN})
