"""mitmproxy's connection handler for what the relay diverts (:mod:`tripgate.proxy.relay.divert`).

Rules
1. The layers are mitmproxy's own, as in its transparent mode, and so are the events, but for those
   that the relay tells itself: the client's coming and going.
2. A refusal and a connect that fails are a reset, at once: the client has chosen the address
   itself, and may have another one to try.
"""

import time
from typing import Any, Protocol

from mitmproxy import ctx
from mitmproxy.proxy import commands, server_hooks
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.utils import human

from tripgate.proxy.gate import Turned
from tripgate.proxy.metered import Dialled, MeteredHandler
from tripgate.proxy.relay.lane import Lane
from tripgate.proxy.relay.observers import Observed
from tripgate.proxy.relay.verdict import Asked
from tripgate.proxy.streams import BACKLOG

LARGE = "1m"
"""A body beyond that is not held in memory for addons, unless the owner has set another size."""

BODIES = 4
"""As many of the largest are held for one client at once; then reading waits."""

RELAYS_OWN = (server_hooks.ClientConnectedHook, server_hooks.ClientDisconnectedHook)


class Diverted(Protocol):
    """Whose connection it is."""

    lane: Lane
    asked: Asked
    observed: Observed

    async def dial(self, host: str, port: int) -> Dialled: ...


class DivertedHandler(MeteredHandler):
    """mitmproxy's own handler, in its transparent mode."""

    def __init__(self, diverted: Diverted, r: Any, w: Any) -> None:
        mode = ProxyMode.parse("transparent")
        large = human.parse_size(ctx.options.stream_large_bodies or LARGE) or 0
        super().__init__(ctx.master, r, w, ctx.options, mode, BACKLOG + BODIES * large)
        self._diverted = diverted
        client = diverted.observed.client
        client.sni = None  # what is known before the handshake is the relay's
        self.transports = {client: self.transports[self.client]}
        self.client = client
        context = Context(client, ctx.options)
        context.server.address = diverted.asked.destination
        self.layer = modes.TransparentProxy(context)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """Rule 1."""
        if not isinstance(hook, RELAYS_OWN):
            await super().handle_hook(hook)

    async def _dial(self, command: commands.OpenConnection) -> Dialled:
        server = command.connection
        host, port = self.wanted(server)
        server.timestamp_start = time.time()
        try:
            dialled = await self._diverted.dial(host, port)
        except (Turned, OSError):
            raise
        except Exception as error:  # the layer would wait for ever
            self._diverted.lane.engine.quiet.warning("a diverted connection failed: %r", error)
            raise OSError("it failed") from error
        server.timestamp_tcp_setup = time.time()
        return dialled

    def refuse(self, turned: Turned) -> str:
        self._diverted.lane.stats.verdicts[turned.verdict] += 1
        self.abort()
        return turned.text

    def unreachable(self, reason: str) -> None:
        """Rule 2."""
        self._diverted.lane.stats.verdicts["unreachable"] += 1
        self.abort()

    def end(self) -> None:
        """Reset the client, and wait for no addon."""
        self.abort()
        client = self.transports.get(self.client)
        if client is not None and client.handler is not None:
            client.handler.cancel("cut")
