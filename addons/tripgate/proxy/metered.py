"""mitmproxy's connection handler, with metered upstream connections.

Rules
1. The handler opens every upstream connection itself: there is no other way to the uplink in any
   of mitmproxy's modes, and a connection that was not admitted (``_dial``) does not exist.
2. A server's reset is the client's too in a tunnel and in an upload (a polite close would make a
   truncated upload look complete, or let it go on into nothing), once it has read what came before
   it, ``TOLD_S`` later at the soonest. In a tunnel no polite end comes before that.
"""

import asyncio
import time
from abc import abstractmethod
from typing import Any, cast

from mitmproxy import http
from mitmproxy.connection import Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events, mode_servers, server_hooks
from mitmproxy.proxy.server import ConnectionIO

from tripgate.proxy.flow import Flow, reset, undelivered
from tripgate.proxy.gate import Turned
from tripgate.proxy.streams import (
    BACKLOG,
    Backlog,
    ClientReader,
    ClientWriter,
    MeteredReader,
    MeteredWriter,
)

TOLD_S = 1.0
TOLD_MOST = 30

Dialled = tuple[Flow, asyncio.StreamReader, asyncio.StreamWriter]


class MeteredHandler(mode_servers.ProxyConnectionHandler):
    """One client connection and the server connections that it leads to."""

    def __init__(
        self, master: Any, r: Any, w: Any, options: Any, mode: Any, backlog: int = BACKLOG
    ) -> None:
        super().__init__(master, r, w, options, mode)  # type: ignore[no-untyped-call]  # mitmproxy
        self.request: http.Request | None = None
        self._backlog = Backlog(backlog)
        self._client_reader = ClientReader(r, self._backlog)
        self._client_writer = ClientWriter(w, self._backlog)
        self._server_reader: asyncio.StreamReader | None = None
        self.transports[self.client] = ConnectionIO(
            handler=None,
            reader=cast(Any, self._client_reader),
            writer=cast(Any, self._client_writer),
        )

    # -- what a kind of client decides ------------------------------------------------------

    @abstractmethod
    async def _dial(self, command: commands.OpenConnection) -> Dialled:
        """Admit, connect, meter. Raises ``Turned``, ``OSError`` or ``ValueError``."""

    @abstractmethod
    def refuse(self, turned: Turned) -> str:
        """Tell the client of a refusal; returns the text for mitmproxy."""

    @abstractmethod
    def unreachable(self, reason: str) -> None:
        """Tell the client that the server is not to be reached."""

    # -- the client -------------------------------------------------------------------------

    def abort(self) -> None:
        """Reset the client's connection."""
        reset(self._client_writer.transport)

    def close_connection(self, connection: Connection, half_close: bool = False) -> None:
        failed = connection is self.client and self._tunnels and self._server_failed()
        if failed and not self._client_writer.is_closing():
            self._reset_later()
        else:
            super().close_connection(connection, half_close)

    # -- upstream ---------------------------------------------------------------------------

    @staticmethod
    def wanted(server: Server) -> tuple[str, int]:
        """Host and port that are to be dialled. Raises ``Turned`` or ``OSError``."""
        if server.error:  # an addon's verdict, or mitmproxy's own on a loop to itself
            raise Turned("destination", server.error)
        if server.transport_protocol != "tcp" or not server.address:
            raise OSError("only TCP to a named destination is carried")
        return str(server.address[0]), int(server.address[1])

    async def open_connection(self, command: commands.OpenConnection) -> None:
        server = command.connection
        if not server.address:
            await self.server_event(events.OpenConnectionCompleted(command, "no destination"))
            return
        data = server_hooks.ServerConnectionHookData(client=self.client, server=server)
        await self.handle_hook(server_hooks.ServerConnectHook(data))
        error = server.error
        try:
            flow, reader, writer = await self._dial(command)
        except Turned as turned:
            error = self.refuse(turned)
        except asyncio.CancelledError:
            await self._failed(command, data, "connection cancelled")
            raise
        except (OSError, ValueError) as reason:
            error = str(reason) or type(reason).__name__
            self.unreachable(error)
        if error:
            await self._failed(command, data, error)
            return
        await self._serve(command, data, flow, reader, writer)

    @property
    def _tunnels(self) -> bool:
        """The client speaks to the server, not to a proxy of HTTP requests."""
        return self.request is None or self.request.method == "CONNECT"

    def _server_failed(self) -> bool:
        """The server has reset the tunnel."""
        return self._server_reader is not None and self._server_reader.exception() is not None

    def _pass_on_reset(self, server: Server) -> None:
        """Rule 2."""
        request = self.request
        to_it = request is not None and (request.host, request.port) == server.address
        if self._tunnels or (to_it and self._uploads):
            self._reset_later()

    def _reset_later(self, looks: int = TOLD_MOST) -> None:
        asyncio.get_running_loop().call_later(TOLD_S, self._reset_told, self.request, looks)

    def _reset_told(self, request: http.Request | None, looks: int) -> None:
        if self.request is not request or not (self._tunnels or self._uploads):
            return  # it has got over it
        if looks and undelivered(self._client_writer.transport):
            self._reset_later(looks - 1)
            return
        self.abort()
        if self._tunnels and self.client in self.transports:
            self.close_connection(self.client)  # who has sent its end is not read any more

    @property
    def _uploads(self) -> bool:
        """A request's body is still on its way."""
        return self.request is not None and self.request.timestamp_end is None

    async def _serve(
        self,
        command: commands.OpenConnection,
        data: server_hooks.ServerConnectionHookData,
        flow: Flow,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        server = command.connection
        server.state = ConnectionState.OPEN
        server.peername = writer.get_extra_info("peername")
        server.sockname = writer.get_extra_info("sockname")
        metered = MeteredWriter(writer, flow, self._backlog)
        self._server_reader = reader
        self.transports[server] = ConnectionIO(
            handler=asyncio.current_task(),
            reader=cast(Any, MeteredReader(reader, flow, self._backlog)),
            writer=cast(Any, metered),
        )
        try:
            await self.handle_hook(server_hooks.ServerConnectedHook(data))
            await self.server_event(events.OpenConnectionCompleted(command, None))
            await self.handle_connection(server)
        finally:
            metered.close()
            if reader.exception() is not None:
                self._pass_on_reset(server)
            server.timestamp_end = time.time()
            await self.handle_hook(server_hooks.ServerDisconnectedHook(data))

    async def _failed(
        self,
        command: commands.OpenConnection,
        data: server_hooks.ServerConnectionHookData,
        error: str,
    ) -> None:
        command.connection.error = error
        await self.handle_hook(server_hooks.ServerConnectErrorHook(data))
        await self.server_event(events.OpenConnectionCompleted(command, error))
