"""Refusals of the proxy as HTTP responses, with the portal's address as this client reaches it."""

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tripgate.core.address import IPAddress
from tripgate.core.book import EMPTY, Book
from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.core.model import Device
from tripgate.portal.refusal import Refused, respond
from tripgate.proxy.gate import Client, Turned
from tripgate.settings import Settings

HTTP_PORT = 80


class Pages:
    """Makes the page of a refusal. ``portal``: where the portal listens, if it does; ``lan``: the
    gateway's address on the LAN, where a router has it on the usual port."""

    def __init__(
        self,
        book: Callable[[], Book] = lambda: EMPTY,
        portal: Endpoint | None = None,
        lan: str | None = None,
    ) -> None:
        self._book, self._portal, self._lan = book, portal, lan

    def page(self, who: Client, device: Device | None, turned: Turned, request: Any) -> bytes:
        """The whole response. ``request`` is mitmproxy's; it may be hostile."""
        book = self._book()
        refused = Refused(turned.kind, device, book=book, service=turned.service)
        if turned.refusal:
            refused = replace(refused, limit=turned.refusal.limit, used=turned.refusal.used)
        elif turned.decision:
            by = turned.decision.policy
            policy = next((one for one in book.policies if one.id == by), None)
            refused = replace(refused, cap=turned.decision.cap, policy=policy)
        if self._portal is not None and self._lan is not None:
            portal: str | None = f"http://{self._lan}/"
        else:
            portal = portal_url(self._portal, who.address)
        return respond(refused, request.headers.get, portal, head=request.method == "HEAD")


def portal_url(portal: Endpoint | None, client: IPAddress) -> str | None:
    """The portal's URL for ``client``; ``None``: there is none, or it cannot get there."""
    if portal is None:
        return None
    host = _facing(client) if portal.hosts == EVERY_ADDRESS else portal.hosts[0]
    if host is None:
        return None
    named = f"[{host}]" if ":" in host else host
    return f"http://{named}/" if portal.port == HTTP_PORT else f"http://{named}:{portal.port}/"


def lan_address(settings: Settings) -> str | None:
    """The gateway's address in the LAN's network; ``None`` in the explicit mode."""
    if settings.mode != "router" or not settings.subnet:
        return None
    return settings.subnet.partition("/")[0]


def _facing(client: IPAddress) -> str | None:
    """This machine's address on the way to ``client``."""
    family = socket.AF_INET if client.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(client), 9))  # no packet is sent, only a route chosen
        except OSError:
            return None
        return str(probe.getsockname()[0]).partition("%")[0]
