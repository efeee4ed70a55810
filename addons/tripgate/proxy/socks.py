"""mitmproxy's SOCKS 5 layer, which also takes a user and a secret (RFC 1929) where there are users.

Rules
1. The method is chosen by client: username/password where it is offered and the book has a proxy
   user, else none is asked (RFC 1928 section 3). The rest of the protocol is mitmproxy's.
2. What a client sent before it hung up is forgotten, not logged: there may be a secret in it.
"""

from collections.abc import Callable
from typing import Any

from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers import modes

VERSION, BY_PASSWORD = 5, 2


class SocksLayer(modes.Socks5Proxy):
    """``users``: does the book have a proxy user?"""

    def __init__(self, of: context.Context, users: Callable[[], bool]) -> None:
        super().__init__(of)
        self._users = users

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionClosed):
            self.buf = b""
        yield from super()._handle_event(event)

    def state_greet(self) -> layer.CommandGenerator[None]:
        """The choice of the method (rule 1)."""
        whole = len(self.buf) >= 2 and len(self.buf) >= 2 + self.buf[1]
        offered = self.buf[2 : 2 + self.buf[1]] if whole and self.buf[0] == VERSION else b""
        if BY_PASSWORD not in offered or not self._users():
            yield from super().state_greet()
            return
        yield commands.SendData(self.context.client, bytes([VERSION, BY_PASSWORD]))
        self.buf = self.buf[2 + len(offered) :]
        self.state = self.state_auth
        yield from self.state()

    state: Any = state_greet
