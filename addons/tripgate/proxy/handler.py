"""The explicit mode's connections: who asks, what is admitted, how a refusal is told.

Rules
1. What moves is :mod:`tripgate.proxy.metered`'s: a connection that this module did not admit does
   not exist.
2. A failing addon cannot free bytes: admission and metering are here, not in hooks (mitmproxy logs
   an exception in a hook and goes on).
3. Only TCP is carried. What mitmproxy would open by UDP is refused.
4. A refusal is an answer that the client understands: a page over HTTP, reply 0x02 over SOCKS 5
   (RFC 1928 section 6), else a reset. What only a name inside the tunnel can decide is a reset
   after the 200.
5. So is an upstream connect that fails: a page with 502 (RFC 9110 section 15.6.3) for plain HTTP
   and CONNECT, mitmproxy's reply over SOCKS 5. Happy Eyeballs is the gateway's own here, all
   addresses were tried; a reset at once is for clients that chose the address themselves (the
   router's relay).
6. Credentials are for the gateway: they are taken out of a request before it goes on.
"""

import asyncio
import ipaddress
import time
from typing import Any

from mitmproxy import http
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands, mode_servers, mode_specs
from mitmproxy.proxy.layers import modes

from tripgate.core import proxyuser
from tripgate.core.meter import Meter
from tripgate.proxy import dial
from tripgate.proxy.flow import DOUBLED, Flow
from tripgate.proxy.gate import Gate, Turned
from tripgate.proxy.metered import Dialled, MeteredHandler
from tripgate.proxy.socks import SocksLayer

HEAD_S = 5.0
CREDENTIALS = "proxy-authorization"
CHALLENGED = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="tripgate", charset="UTF-8"\r\n'
)
WRONG = b"Content-Length: 0\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
SOCKS_REFUSED = b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"


class Handler(MeteredHandler):
    """One client connection and the server connections that it leads to."""

    def __init__(self, gate: Gate, master: Any, r: Any, w: Any, options: Any, mode: Any) -> None:
        super().__init__(master, r, w, options, mode)
        self.gate = gate
        self._answered = False
        self._head_timer: asyncio.TimerHandle | None = None
        self.who = gate.client(self.client.peername, self.client.sockname)

    # -- the client -------------------------------------------------------------------------

    async def handle_client(self) -> None:
        if not self.gate.enter(self):
            self.abort()
            return
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(HEAD_S, self.abort)
        try:
            if isinstance(self.layer, modes.Socks5Proxy):
                self.layer = SocksLayer(self.layer.context, self.gate.proxy_users)
            await super().handle_client()
        finally:
            self.heard()
            self.gate.leave(self)

    def heard(self, request: http.Request | None = None) -> None:
        """The client has said what it wants: the deadline for that is off."""
        if request is not None:
            self.request = request
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def recognise(self, request: http.Request) -> bool:
        """Look at a request's credentials, and take them out; False: they are wrong, it is
        answered. None are fine: the address says who it is."""
        header = request.headers.pop(CREDENTIALS, None)
        if header is None:
            return True
        try:
            known = self.gate.recognise(self, *proxyuser.parse_basic(header))
        except ValueError:
            known = False
        if not known:
            self.answer(CHALLENGED + WRONG)
        return known

    def answer(self, data: bytes) -> None:
        """Tell the client one last thing; the connection ends when it has read it."""
        self._answered = True
        self.heard()
        self._client_writer.answer(data)
        self._client_reader.answered(self._told)

    def _told(self) -> None:
        """The answer is home: with the end of reading the connection is over."""
        self.client.state &= ~ConnectionState.CAN_WRITE

    def close_connection(self, connection: Connection, half_close: bool = False) -> None:
        if connection is self.client and self._answered:
            return  # the reader lingers until the answer is home
        super().close_connection(connection, half_close)

    def refuse(self, turned: Turned) -> str:
        """Answer a refusal in the client's own protocol; returns the text for mitmproxy."""
        mode = self.client.proxy_mode
        self.gate.stats.verdicts[turned.verdict] += 1
        if isinstance(mode, mode_specs.Socks5Mode):
            self.answer(SOCKS_REFUSED)
        elif self.request is not None:
            self.answer(self._page(turned, self.request))
        else:
            self.abort()
        return turned.text

    def unreachable(self, reason: str) -> None:
        """Rule 5."""
        self.gate.stats.verdicts["unreachable"] += 1
        if self.request is not None:
            turned = Turned("unreachable", reason)
            self.answer(self.gate.page(self.who, turned, self.request))

    def _page(self, turned: Turned, request: http.Request) -> bytes:
        """Why; a client that nobody knows is also asked for credentials, where some would do: no
        browser sends them unasked (RFC 9110 section 15.5.8). A connectivity check never is: 511
        (RFC 6585 section 6) tells it that it is captive."""
        page = self.gate.page(self.who, turned, request)
        check = self.gate.desk.judge.is_check(self.gate.name(request.host))
        if check or turned.kind != "pending" or not self.gate.proxy_users():
            return page
        return CHALLENGED + page.partition(b"\r\n")[2]

    # -- upstream ---------------------------------------------------------------------------

    async def open_connection(self, command: commands.OpenConnection) -> None:
        self.heard()
        await super().open_connection(command)

    async def _dial(self, command: commands.OpenConnection) -> Dialled:
        server = command.connection
        host, port = self.wanted(server)
        device = await self.gate.admit(self.who, self.gate.name(host), tunnel=self._tunnels)
        server.timestamp_start = time.time()
        account = self.gate.desk.account(device)
        window, mark = account.first_window() // DOUBLED, self.gate.mark(device)
        sock = await self.gate.connect(self.who, host, port, window, mark)
        server.timestamp_tcp_setup = time.time()
        address = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
        meter = Meter(account, self.gate.name(host), str(address), family=address.version)
        flow = Flow(self.gate.desk, account, meter, self.abort)
        reader, writer = await dial.open_stream(sock, flow.lost)
        flow.opened(writer.transport)
        self.gate.stats.verdicts["allow"] += 1
        return flow, reader, writer


def install(gate: Gate) -> None:
    """Let every mode of mitmproxy use :class:`Handler`.

    The name is looked up when a connection is accepted, in mitmproxy 11.0 and 12.x alike; a
    registered mode of our own would leave ``mitmdump --mode regular`` unmetered.
    """

    def make(master: Any, r: Any, w: Any, options: Any, mode: Any) -> Handler:
        return Handler(gate, master, r, w, options, mode)

    mode_servers.ProxyConnectionHandler = make  # type: ignore[misc, assignment]
