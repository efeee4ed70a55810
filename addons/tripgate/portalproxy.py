"""The portal for browsers whose every request goes through the proxy.

Rules
1. The portal is asked in this process: no connection, no byte of the uplink, no admission. It sees
   the client's own address, as if the client had come directly.
2. ``http://tripgate/`` is the portal too, whatever its port: a name that only the proxy knows.
3. An answer is bounded in time; what fails is a 503.
"""

import asyncio
import ipaddress
from collections.abc import Collection, MutableMapping
from typing import Any

from mitmproxy import http

from tripgate.core.endpoint import Endpoint
from tripgate.proxy import dial
from tripgate.proxy.gate import Client
from tripgate.web import AsgiApp

NAME = "tripgate"
ANSWER_S = 10.0


class PortalPages:
    """Answers requests for the portal by calling its app. ``also``: its ports besides ``at``."""

    def __init__(
        self, app: AsgiApp, at: Endpoint, names: frozenset[str], also: Collection[int] = ()
    ) -> None:
        self._app, self._at, self._names = app, at, names
        self._ports = {at.port, *also}

    def serves(self, host: str, port: int) -> bool:
        name = host.lower().strip("[]")
        if name == NAME:
            return port in (80, self._at.port)
        if port not in self._ports:
            return False
        try:
            return dial.is_own(ipaddress.ip_address(name))
        except ValueError:
            return name in self._names

    async def answer(self, who: Client, local: str, request: http.Request) -> http.Response:
        """Call the app (ASGI 3) with the whole request."""
        started: MutableMapping[str, Any] = {"status": 503, "headers": []}
        body = bytearray()
        sent = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": request.raw_content or b""}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        try:
            async with asyncio.timeout(ANSWER_S):
                await self._app(_scope(who, local, self._at.port, request), receive, send)
        except TimeoutError:
            started, body = {"status": 503, "headers": []}, bytearray()
        content = b"" if request.method == "HEAD" else bytes(body)
        return http.Response.make(started["status"], content, tuple(started["headers"]))


def _scope(who: Client, local: str, port: int, request: http.Request) -> dict[str, Any]:
    path, _, query = request.path.partition("?")
    headers = [(name.lower(), value) for name, value in request.headers.fields]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": headers,
        "client": (str(who.address), 0),
        "server": (local, port),
    }
