"""Other people's addons, told of the relay's connections by mitmproxy's own events.

An addon that wants more than that asks for it: by a method for a flow (``FLOWS`` of plain HTTP,
``RAW_FLOWS`` of what is neither HTTP nor TLS), or in ``tls_clienthello`` by setting
``ignore_connection`` to ``False``. What was asked for is diverted, if it is allowed
(:mod:`tripgate.proxy.relay.divert`).

Rules
1. Nothing is made and nobody is asked unless an addon that is neither mitmproxy's nor ours has a
   method for one of ``EVENTS`` or of a flow; that is looked for once in ``LOOK_S``. (The stock
   addons cost as much as the whole relay.)
2. The order is that of ``EVENTS``: each at most once for a connection, ``client_disconnected`` for
   every one that was told as connected. ``tls_clienthello`` is what was peeked at.
3. A connection waits for nobody: what is asynchronous runs beside it. An error is logged and
   changes nothing. ``server.error``, set in ``server_connect``, refuses as in mitmproxy.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mitmproxy import connection, ctx, tls
from mitmproxy.addonmanager import traverse
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import context, server_hooks
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.proxy.mode_specs import ProxyMode

from tripgate.proxy.relay.quiet import Quiet
from tripgate.proxy.relay.verdict import Address

EVENTS = (
    "client_connected", "tls_clienthello", "server_connect", "server_connected", "flow_metered",
    "client_disconnected",
)  # fmt: skip
FLOWS = frozenset({"requestheaders", "request", "responseheaders", "response", "error"})
RAW_FLOWS = frozenset({"tcp_start", "tcp_message", "tcp_end", "tcp_error"})
LOOKED_FOR = (*EVENTS, *FLOWS, *RAW_FLOWS)
LOOK_S = 1.0
NOT_OTHERS = ("mitmproxy.", "tripgate.")

Hook = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class MeteredFlow:
    """What ``flow_metered`` tells when a connection is over: whose it was, where it went, and its
    L3 bytes on the uplink as the relay knows them."""

    device: str
    host: str | None
    address: Address
    up: int
    down: int


def _loaded() -> Iterable[Any]:
    master = getattr(ctx, "master", None)
    return traverse(master.addons.chain) if master is not None else ()


class Observers:
    """Who listens. ``addons`` are all that are loaded."""

    def __init__(self, quiet: Quiet, addons: Callable[[], Iterable[Any]] = _loaded) -> None:
        self._quiet = quiet
        self._addons = addons
        self._looked_at = -LOOK_S
        self._hooks: dict[str, list[Hook]] = {}
        self._tasks: set[asyncio.Future[Any]] = set()

    def meet(self, client: Address, destination: Address, now: float) -> "Observed | None":
        """A client has connected; ``None``: nobody wants to know."""
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._look()
        return Observed(self, client, destination) if self._hooks else None

    def _look(self) -> None:
        found: dict[str, list[Hook]] = {}
        for addon in self._addons():
            home = addon.__name__ if inspect.ismodule(addon) else type(addon).__module__
            if not f"{home}.".startswith(NOT_OTHERS):
                for event in LOOKED_FOR:
                    if callable(hook := getattr(addon, event, None)):
                        found.setdefault(event, []).append(hook)
        self._hooks = found

    def wants(self, event: str) -> bool:
        return event in self._hooks

    def want_one(self, events: frozenset[str]) -> bool:
        return not events.isdisjoint(self._hooks)

    def tell(self, event: str, data: object) -> None:
        for hook in self._hooks.get(event, ()):
            try:
                outcome = hook(data)
                if inspect.isawaitable(outcome):
                    task = asyncio.ensure_future(outcome)
                    self._tasks.add(task)
                    task.add_done_callback(self._done)
            except (Exception, asyncio.CancelledError) as error:  # it would end the loop
                self._quiet.warning("an addon failed in an event of the relay: %r", error)

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._quiet.warning("an addon failed in an event of the relay: %r", error)


class Observed:
    """One connection as addons see it."""

    __slots__ = ("_observers", "_server", "asks", "client")

    def __init__(self, observers: Observers, client: Address, destination: Address) -> None:
        self.asks = False
        """An addon wants to see what is inside."""
        self._observers = observers
        self.client = connection.Client(
            peername=client,
            sockname=destination,
            timestamp_start=time.time(),
            state=connection.ConnectionState.OPEN,
            proxy_mode=ProxyMode.parse("transparent"),
        )
        self._server = connection.Server(address=destination)
        observers.tell("client_connected", self.client)

    def hello(self, name: str | None, head: bytes, *, http: bool) -> None:
        """The first bytes were looked at; none: the client waits for the server."""
        self.client.sni = name
        if http:
            self.asks = self._observers.want_one(FLOWS)
        elif not starts_like_tls_record(head):
            self.asks = self._observers.want_one(RAW_FLOWS)
        elif self._observers.wants("tls_clienthello"):
            self._client_hello(head)

    def _client_hello(self, head: bytes) -> None:
        try:
            hello = parse_client_hello(head)
        except ValueError:
            hello = None
        if hello is not None:
            about = context.Context(self.client, ctx.options)
            about.server = self._server
            data = tls.ClientHelloData(about, hello, ignore_connection=True)
            self._observers.tell("tls_clienthello", data)
            self.asks = not data.ignore_connection

    def connect(self) -> bool:
        """A connection to the server is about to be made; False: an addon refuses it."""
        self._server.timestamp_start = time.time()
        self._observers.tell("server_connect", self._data())
        return not self._server.error

    def connected(self, own: Address) -> None:
        """The server has answered."""
        self._server.sockname, self._server.peername = own, self._server.address
        self._server.timestamp_tcp_setup = time.time()
        self._server.state = connection.ConnectionState.OPEN
        self._observers.tell("server_connected", self._data())

    def over(self, metered: MeteredFlow | None) -> None:
        """Both sides are closed, or are about to be; ``metered``: if anything was opened."""
        if metered is not None:
            self._observers.tell("flow_metered", metered)
        self.client.state = self._server.state = connection.ConnectionState.CLOSED
        self.client.timestamp_end = time.time()
        self._observers.tell("client_disconnected", self.client)

    def _data(self) -> server_hooks.ServerConnectionHookData:
        return server_hooks.ServerConnectionHookData(client=self.client, server=self._server)
