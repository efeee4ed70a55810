"""The addon: which of mitmproxy's layers run, and that they keep nothing.

Rules
1. Nothing is decrypted and nothing inside a tunnel is looked at (but for rule 5): after CONNECT or
   SOCKS every protocol is relayed as it is. A client that wants TLS to the proxy itself is turned
   away.
2. Bodies are streamed in both directions; messages of raw flows are forgotten at once.
3. Hooks only choose (but for rule 4); what counts and what refuses is in the handler (its rule 2).
4. A browser sends its requests for the portal through the proxy too. They are answered here, at
   once and without any upstream connection, as the portal would answer that client itself.
5. What the router diverts, because an addon asks to see it, has the layers that mitmproxy chooses.
   What it keeps of it is bounded: ``stream_large_bodies`` has a value, ``MESSAGES_MOST`` messages.
"""

from typing import Any

from mitmproxy import ctx, http, tcp
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.options import Options
from mitmproxy.proxy import layer, layers
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode

from tripgate.proxy.gate import Gate, Turned
from tripgate.proxy.handler import Handler
from tripgate.proxy.relay.diverted import LARGE, DivertedHandler

OPTIONS = {
    "websocket": False,  # relayed as bytes: mitmproxy would keep every message
    "rawtcp": True,
    "connection_strategy": "eager",  # SOCKS must know the outcome before it replies
}

MESSAGES_MOST = 64

PORTAL = "tripgate.portal"
FORM_MOST = 4096


class Hooks:
    """Chooses layers and streaming for every mode."""

    name = "tripgate"

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        context = nextlayer.context
        if self._is_diverted(context.client.id):
            return
        if len(context.layers) == 1 and isinstance(context.layers[0], modes.HttpProxy):
            if starts_like_tls_record(nextlayer.data_client()):
                self._abort(context.client.id)
                nextlayer.layer = layers.TCPLayer(context, ignore=True)
                return
            nextlayer.layer = layers.HttpLayer(context, HTTPMode.regular)
        elif not any(isinstance(above, modes.HttpUpstreamProxy) for above in context.layers[:1]):
            nextlayer.layer = layers.TCPLayer(context, ignore=True)

    def http_connect(self, flow: http.HTTPFlow) -> None:
        if handler := self._handler(flow.client_conn.id):
            handler.heard(flow.request)
            if not handler.recognise(flow.request):
                flow.kill()

    def socks5_auth(self, data: modes.Socks5AuthData) -> None:
        """Credentials of a SOCKS client (RFC 1929)."""
        handler = self._handler(data.client_conn.id)
        if handler and self._gate.recognise(handler, data.username, data.password):
            data.valid = True

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        handler = self._handler(flow.client_conn.id)
        if handler is None:
            return
        handler.heard(flow.request)
        if not handler.recognise(flow.request):
            flow.kill()
            return
        if flow.request.scheme != "http":
            handler.refuse(Turned("request", "use CONNECT for https"))
            flow.kill()
        if self._is_ours(flow.request):
            if not _is_short(flow.request):
                handler.refuse(Turned("request", "too long for the portal"))
                flow.kill()
            flow.metadata[PORTAL] = True
            return
        flow.request.stream = True

    async def request(self, flow: http.HTTPFlow) -> None:
        """Only what is not streamed is whole here: requests for the portal (rule 4)."""
        handler = self._handler(flow.client_conn.id)
        if handler and self._gate.pages and flow.metadata.get(PORTAL):
            local = str(flow.client_conn.sockname[0])
            flow.response = await self._gate.pages.answer(handler.who, local, flow.request)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None and not self._is_diverted(flow.client_conn.id):
            flow.response.stream = True

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        kept = MESSAGES_MOST if self._is_diverted(flow.client_conn.id) else 0
        del flow.messages[: max(0, len(flow.messages) - kept)]

    def _is_ours(self, request: http.Request) -> bool:
        pages = self._gate.pages
        return pages is not None and pages.serves(request.host, request.port)

    def _abort(self, client_id: str) -> None:
        if handler := self._handler(client_id):
            handler.abort()

    def _handler(self, client_id: str) -> Handler | None:
        found = _connection(client_id)
        return found if isinstance(found, Handler) else None

    def _is_diverted(self, client_id: str) -> bool:
        return isinstance(_connection(client_id), DivertedHandler)


def set_options(options: Options) -> None:
    """mitmproxy's options as the gateway needs them."""
    options.update(**OPTIONS)
    if options.stream_large_bodies is None:
        options.update(stream_large_bodies=LARGE)


def _connection(client_id: str) -> object:
    server: Any = ctx.master.addons.get("proxyserver")
    return server.connections.get(client_id) if server else None


def _is_short(request: http.Request) -> bool:
    """A body that may be held in memory: none, or a form of known size."""
    length = request.headers.get("content-length", "0")
    short = length.isdigit() and len(length) < 8 and int(length) <= FORM_MOST
    return short and "transfer-encoding" not in request.headers
