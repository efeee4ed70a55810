"""mitmproxy's server mode ``tproxy@PORT``: the relay's listening sockets, started and stopped with
mitmproxy's other servers.

Rules
1. One socket for each address family on the port; an address in the mode
   (``tproxy@10.77.0.1:PORT``) takes one of its family only. Without IPv6 in the kernel there is
   IPv4 alone.
2. Only the sockets are mitmproxy's: what they accept goes to the relay, past its machinery.
3. The class registers itself when this module is imported, before options are parsed.
"""

import errno
import socket
from collections.abc import Callable
from typing import Any, ClassVar

from mitmproxy.proxy import context, layer, layers, mode_servers, mode_specs

from tripgate.proxy.relay.listener import Listener, transparent
from tripgate.proxy.relay.relay import Relay

EVERY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - whatever is diverted
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class TproxyMode(mode_specs.ProxyMode):
    """Connections that TPROXY diverts to a port."""

    description = "TPROXY relay"
    default_port = 8081
    transport_protocol = "tcp"

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("mode takes no arguments: tproxy@PORT")


class TproxyInstance(mode_servers.ServerInstance[TproxyMode]):
    """The sockets of one ``tproxy@…``."""

    relay: ClassVar[Callable[[], Relay] | None] = None

    def __init__(self, mode: TproxyMode, manager: mode_servers.ServerManager) -> None:
        super().__init__(mode, manager)
        self._listeners: list[Listener] = []

    @property
    def is_running(self) -> bool:
        return bool(self._listeners)

    @property
    def listen_addrs(self) -> tuple[Any, ...]:
        return tuple(listener.sock.getsockname() for listener in self._listeners)

    async def _start(self) -> None:
        if TproxyInstance.relay is None:
            raise OSError("tproxy needs the relay of tripgate, which is not running")
        relay = TproxyInstance.relay()
        port = self.mode.listen_port()
        assert port is not None
        for sock in _sockets(self.mode.listen_host(), port):
            self._listeners.append(relay.listen(sock))

    async def _stop(self) -> None:
        while self._listeners:
            self._listeners.pop().abort()

    def make_top_layer(self, context: context.Context) -> layer.Layer:
        """Never used: no connection of this mode reaches mitmproxy's handler."""
        return layers.TCPLayer(context, ignore=True)


def _sockets(host: str, port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for family, every in EVERY.items():
            if host and (family == socket.AF_INET6) is not (":" in host):
                continue
            try:
                made.append(transparent(family, host or every, port))
            except OSError as error:
                if not made or error.errno not in _NO_IPV6:
                    raise
    except OSError:
        for sock in made:
            sock.close()
        raise
    return made


def install(relay: Callable[[], Relay]) -> None:
    """Servers of the mode use ``relay()``, asked when they start, in the loop."""
    TproxyInstance.relay = relay
