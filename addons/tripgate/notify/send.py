"""One message to one address: a POST, by a thread of its own.

Rules
1. What is connected to is what was checked: a name must not lead to an address that is not public
   (private, shared, loopback, of a link). One that the owner wrote himself may be any.
2. No redirect is followed. An answer is read up to ``ANSWER_MOST`` bytes, all within ``LIMIT_S``.
3. An error tells the server's name and what was wrong, never the URL, a header or the answer.
4. A server that is busy or away is worth another try; one that refuses is not.
"""

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tripgate.core import tcpinfo
from tripgate.core.address import destination_refused, is_literal
from tripgate.core.event import Event
from tripgate.core.outbox import lines
from tripgate.notify.address import Address

LIMIT_S = 15.0
CONNECT_S = 5.0
ANSWER_MOST = 64 * 1024
TITLE = "tripgate"
TEXT_MOST = 3500
_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of the connection, TLS included; 0 where the system does not tell."""

    up: int = 0
    down: int = 0


class SendError(Exception):
    """It did not arrive. ``final``: trying again is of no use."""

    def __init__(self, text: str, *, final: bool = False, traffic: Traffic | None = None) -> None:
        super().__init__(text)
        self.final = final
        self.traffic = traffic or Traffic()


def body(address: Address, events: tuple[Event, ...], at: int) -> tuple[bytes, dict[str, str]]:
    """What is posted, and its headers."""
    text = "\n".join(lines(events))[:TEXT_MOST]
    headers = {"User-Agent": TITLE, "Connection": "close"}
    if address.auth:
        headers["Authorization"] = address.auth
    if address.kind == "ntfy":
        return text.encode(), {**headers, "Title": TITLE, "Content-Type": "text/plain"}
    document: dict[str, object]
    if address.kind == "telegram":
        document = {"chat_id": address.chat, "text": f"{TITLE}: {text}"}
    else:
        told = [{"kind": event.kind, "text": event.text} for event in events]
        document = {"title": TITLE, "text": text, "at": at, "events": told}
    return json.dumps(document).encode(), {**headers, "Content-Type": "application/json"}


def post(
    address: Address, events: tuple[Event, ...], at: int, context: ssl.SSLContext | None = None
) -> Traffic:
    """Send, and wait for the answer. Raises :class:`SendError`. Blocks for ``LIMIT_S`` at most, and
    as long as the system's resolver takes."""
    content, headers = body(address, events, at)
    try:
        raw = _connect(address)
    except (OSError, ValueError) as error:  # ValueError: no name that can be asked for
        raise SendError(f"{address.host}: {_reason(error)}") from None
    timer = threading.Timer(LIMIT_S, _shut, [raw])
    timer.daemon = True
    timer.start()
    try:
        status = _exchange(raw, address, content, headers, context)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SendError(f"{address.host}: {_reason(error)}", traffic=_traffic(raw)) from None
    finally:
        timer.cancel()
        moved = _traffic(raw)
        raw.close()
    _judge(address, status, moved)
    return moved


def _connect(address: Address) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    allowed = [one for one in found if is_literal(address.host) or _fine(one[4][0])]
    if not allowed:
        raise SendError(
            f"{address.host} is a private address: write the address itself, if that is meant",
            final=True,
        )
    return _first(allowed)


def _fine(host: str | int) -> bool:
    address = ipaddress.ip_address(str(host).partition("%")[0])
    if destination_refused(address, own=False, local_client=False) is not None:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address.is_global and not address.is_site_local
    return address.is_global


def _first(found: Sequence[tuple[int, int, int, str, tuple[object, ...]]]) -> socket.socket:
    """To the first address that answers."""
    problem: OSError = OSError("no address")
    for family, kind, protocol, _, place in found[:4]:
        one = socket.socket(family, kind, protocol)
        one.settimeout(CONNECT_S)
        try:
            one.connect(place)
        except OSError as error:
            one.close()
            problem = error
        else:
            return one
    raise problem


def _exchange(
    raw: socket.socket,
    address: Address,
    content: bytes,
    headers: dict[str, str],
    context: ssl.SSLContext | None,
) -> int:
    connection = http.client.HTTPConnection(address.host, address.port)
    if address.tls:
        made = context or ssl.create_default_context()
        # a descriptor of its own: the plain socket is asked for its counts at the end
        connection.sock = made.wrap_socket(raw.dup(), server_hostname=address.host)
    else:
        connection.sock = raw.dup()
    connection.sock.settimeout(CONNECT_S)
    try:
        connection.request("POST", address.path, content, headers)
        answer = connection.getresponse()
        answer.read(ANSWER_MOST)
        return answer.status
    finally:
        connection.close()


def _judge(address: Address, status: int, moved: Traffic) -> None:
    """Rule 4."""
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        text = "leads elsewhere: add the address that it leads to"
    else:
        text = f"answered {status}"
    final = status < 500 and status not in _AGAIN
    raise SendError(f"{address.host} {text}", final=final, traffic=moved)


def _shut(raw: socket.socket) -> None:
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _traffic(raw: socket.socket) -> Traffic:
    try:
        kernel = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcpinfo.SIZE)
    except (OSError, AttributeError):
        return Traffic()
    told = tcpinfo.parse(kernel)
    return Traffic(max(0, told.bytes_sent - told.bytes_retrans), told.bytes_received)


def _reason(error: Exception) -> str:
    """Rule 3: nothing that an error's own text may carry."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not valid"
    if isinstance(error, ssl.SSLError):
        return "no TLS connection"
    if isinstance(error, socket.gaierror):
        return "no such name"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "no answer that is HTTP"
