"""The web servers bound what a client can hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.running import free_port
from tripgate import web
from tripgate.core.endpoint import Endpoint

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def _peer(request: Request) -> Response:
    return PlainTextResponse(request.client.host if request.client else "?")


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The port of a server that answers with the address of whoever asks."""
    port = free_port()
    app = Starlette(routes=[Route("/", _peer)])
    async with web.serve_web([(Endpoint(("127.0.0.1",), port), app)]):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            yield port
            return


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server ends the connection."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


async def test_what_a_client_says_of_its_own_address_is_not_believed() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"X-Forwarded-For: 10.0.0.9\r\nConnection: close\r\n\r\n")
        assert (await ended(reader)).endswith(b"\r\n\r\n127.0.0.1")
        writer.close()


@pytest.mark.parametrize("sent", [b"", GET])
async def test_a_head_that_does_not_come_ends_the_connection(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "HEAD_S", 0.2)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await ended(reader) == b""
        writer.close()


async def test_a_second_head_that_does_not_come_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "HEAD_S", 0.2)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"\r\n\r\n127.0.0.1")
        writer.write(GET)
        assert await ended(reader) == b""
        writer.close()


async def test_one_client_holds_so_many_connections_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "HEAD_S", 60)
    async with serving() as port:
        held = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(web.MOST_PER_CLIENT)
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader) == b""
        for _, one in (*held, (reader, writer)):
            one.close()


async def test_what_is_no_http_is_told_with_its_source(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 no HTTP\r\n\r\n")
        await reader.read()
        writer.close()
    assert f"Invalid HTTP request received. (from 127.0.0.1, to port {port})" in caplog.text


async def test_the_end_of_a_connection_is_no_error() -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(told))
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert await ended(reader)
        writer.close()
        await writer.wait_closed()
    assert errors == []
