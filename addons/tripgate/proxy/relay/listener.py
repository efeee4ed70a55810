"""Listening sockets: of TPROXY, one for each family, and what accepts from them.

Rules
1. A TPROXY socket is ``IP_TRANSPARENT`` (Documentation/networking/tproxy.rst): it accepts what the
   rules divert to it, whatever the destination, which is then the accepted socket's own address.
2. A batch accepts a bounded number: those who are in go on.
3. Without descriptors it pauses, or a level-triggered listener would spin; it stays the engine's,
   which closes it.
4. What a device does not take soon is not fetched: its socket holds at most ``UNSENT`` bytes that
   were not sent. They are paid for, and an aborted download would have fetched megabytes of them.
"""

import errno
import socket
from collections.abc import Callable

from tripgate.proxy.relay.engine import LISTEN, Engine
from tripgate.proxy.relay.verdict import Address
from tripgate.proxy.upstream import Socket

Enter = Callable[[Socket, Address, Address], None]
"""Takes an accepted socket, the client's address and the destination."""

ACCEPTS = 64
BACKLOG = 1024
PAUSE_S = 0.1
UNSENT = 256 * 1024

_IPV6_TRANSPARENT = 75  # <linux/in6.h>
_TCP_NOTSENT_LOWAT = 25  # <linux/tcp.h>; the module socket has it from Python 3.12 on
_IP_TRANSPARENT = 19  # <linux/in.h>; the module socket has it from Python 3.14 on
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def transparent(family: int, host: str, port: int) -> socket.socket:
    """A listening TPROXY socket. Raises ``OSError`` (``PermissionError`` without CAP_NET_ADMIN)."""
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
        else:
            sock.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def own_name(sock: Socket) -> Address:
    """The destination of a diverted connection: its socket's own address."""
    name = sock.getsockname()
    return name[0], name[1]


class Listener:
    """Accepts from ``sock``, which is closed with it."""

    __slots__ = ("_destination", "_engine", "_enter", "_family", "sock")

    def __init__(
        self,
        engine: Engine,
        enter: Enter,
        sock: socket.socket,
        destination: Callable[[Socket], Address] = own_name,
    ) -> None:
        self._engine = engine
        self._enter = enter
        self._destination = destination
        self.sock = sock
        self._family = int(sock.family)
        sock.setblocking(False)
        for option, value in ((socket.TCP_NODELAY, 1), (_TCP_NOTSENT_LOWAT, UNSENT)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)  # those it accepts inherit it
        engine.watch(sock.fileno(), self, LISTEN)

    def event(self, fd: int, mask: int) -> None:
        """Connections wait."""
        for _ in range(ACCEPTS):
            try:
                fd, peer = self.sock._accept()  # type: ignore[attr-defined]  # accept() without an object around it
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue  # accept(2): an error of that connection, it is gone
            sock = Socket(self._family, socket.SOCK_STREAM, 0, fd)
            self._accepted(sock, (peer[0], peer[1]))

    def _accepted(self, sock: Socket, client: Address) -> None:
        sock.setblocking(False)
        try:
            destination = self._destination(sock)
        except OSError:
            sock.close()
            return
        self._enter(sock, client, destination)

    def _pause(self, error: OSError) -> None:
        engine = self._engine
        engine.quiet.warning("no connections are accepted: %s", error)
        engine.rewatch(self.sock.fileno(), 0)
        engine.loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self.sock.fileno() >= 0:
            self._engine.rewatch(self.sock.fileno(), LISTEN)

    def abort(self) -> None:
        """Accept no more."""
        self._engine.close_soon(self.sock)
