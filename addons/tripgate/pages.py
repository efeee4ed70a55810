"""Refusals as HTTP responses: plain text so far."""

from typing import Any

from tripgate.core.model import Device
from tripgate.core.units import format_volume
from tripgate.proxy.gate import Client, Turned

_STATUS = {
    "ledger": "503 Service Unavailable",
    "destination": "403 Forbidden",
    "request": "400 Bad Request",
}


class Pages:
    """Makes the page of a refusal."""

    def page(self, who: Client, device: Device | None, turned: Turned, request: Any) -> bytes:
        """The whole response."""
        status = _STATUS.get(turned.kind, "511 Network Authentication Required")
        limit = turned.refusal.limit if turned.refusal else None
        volume = format_volume(limit.limit) if limit and limit.limit else ""
        body = f"{turned.text} {device.name if device else ''} {volume}\n".encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body
