"""The addon: which of mitmproxy's layers run, and that they keep nothing.

Rules
1. Nothing is decrypted and nothing inside a tunnel is looked at: after CONNECT or SOCKS every
   protocol is relayed as it is. A client that wants TLS to the proxy itself is turned away.
2. Bodies are streamed in both directions; messages of raw flows are forgotten at once.
3. Hooks only choose; what counts and what refuses is in the handler (its rule 2).
"""

from typing import Any

from mitmproxy import ctx, http, tcp
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, layers
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode

from tripgate.proxy.gate import Gate, Turned
from tripgate.proxy.handler import Handler

OPTIONS = {
    "websocket": False,  # relayed as bytes: mitmproxy would keep every message
    "rawtcp": True,
    "connection_strategy": "eager",  # SOCKS must know the outcome before it replies
}


class Hooks:
    """Chooses layers and streaming for every mode."""

    name = "tripgate"

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        context = nextlayer.context
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

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        handler = self._handler(flow.client_conn.id)
        if handler is None:
            return
        handler.heard(flow.request)
        if flow.request.scheme != "http":
            handler.refuse(Turned("request", "use CONNECT for https"))
            flow.kill()
        flow.request.stream = True

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None:
            flow.response.stream = True

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        flow.messages.clear()

    def _abort(self, client_id: str) -> None:
        if handler := self._handler(client_id):
            handler.abort()

    def _handler(self, client_id: str) -> Handler | None:
        server: Any = ctx.master.addons.get("proxyserver")
        found = server.connections.get(client_id) if server else None
        return found if isinstance(found, Handler) else None
