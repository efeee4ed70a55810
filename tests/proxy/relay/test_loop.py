"""The relay's own event loop: asyncio and the engine on one epoll."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

import pytest

from tests.proxy.relay.relay_world import RelayWorld, exactly, recv, running, send, until
from tripgate.proxy.relay.listener import Listener
from tripgate.proxy.relay.loop import Events, RelayLoop, SharedSelector


def on_its_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    with asyncio.Runner(loop_factory=RelayLoop) as runner:
        runner.run(bounded())


def relaying(folder: Path, test: Callable[[RelayWorld], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with running(folder) as world:
            assert world.relay.engine._shared is not None
            await test(world)

    on_its_loop(inside)


def test_a_relay_moves_bytes_both_ways_and_ends(tmp_path: Path) -> None:
    async def test(world: RelayWorld) -> None:
        client, server = await world.pair()
        for one, other in ((client, server), (server, client)):
            data = os.urandom(3_000_000)
            sending = asyncio.ensure_future(send(one, data))
            assert await exactly(other, len(data)) == data
            await sending
        server.close()
        assert await recv(client) == b""
        client.close()
        await until(lambda: world.relay.connections == 0)

    relaying(tmp_path, test)


def test_what_expires_is_told_while_nothing_moves(tmp_path: Path) -> None:
    async def test(world: RelayWorld) -> None:
        client = await world.client()
        await until(lambda: world.relay.connections == 1)
        world.clock.now += 1
        server = await world.accepted()  # who says nothing waits for the server
        await send(server, b"220 mail\r\n")
        assert await exactly(client, 10) == b"220 mail\r\n"

    relaying(tmp_path, test)


def test_asyncio_goes_on_beside_a_busy_relay(tmp_path: Path) -> None:
    async def test(world: RelayWorld) -> None:
        client, server = await world.pair()

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(4))
            writer.close()

        stream = asyncio.ensure_future(send(server, bytes(20_000_000)))
        drain = asyncio.ensure_future(exactly(client, 20_000_000))
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
            writer.write(b"ping")
            assert await reader.read() == b"ping"
            writer.close()
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0
        await asyncio.gather(stream, drain)

    relaying(tmp_path, test)


def test_the_loop_outlives_its_relay(tmp_path: Path) -> None:
    async def test() -> None:
        for _ in range(2):
            async with running(tmp_path) as world:
                client, _ = await world.pair()
            with pytest.raises(ConnectionResetError):
                await recv(client)

    on_its_loop(test)


@pytest.fixture
def pair() -> Any:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_selector_tells_what_is_ready(pair: Any) -> None:
    one, other = pair
    with SharedSelector() as selector:
        key = selector.register(one, EVENT_READ, "mine")
        assert selector.select(0) == []
        selector.modify(one, EVENT_READ | EVENT_WRITE, "ours")
        other.close()
        ((told, ready),) = selector.select(0)
        assert (told.data, ready) == ("ours", EVENT_READ | EVENT_WRITE)
        assert selector.get_key(one.fileno()) is selector.get_key(one) is told
        assert list(selector.get_map()) == [key.fd] and len(selector.get_map()) == 1


def test_a_selector_knows_what_it_watches(pair: Any) -> None:
    one, other = pair
    with SharedSelector() as selector:
        selector.register(one, EVENT_READ)
        with pytest.raises(KeyError):
            selector.register(one, EVENT_READ)
        with pytest.raises(KeyError):
            selector.unregister(other)
        selector.unregister(one)
        assert selector.get_map().get(one.fileno()) is None


def test_what_was_closed_before_can_be_unregistered() -> None:
    read, write = os.pipe()
    with SharedSelector() as selector:
        selector.register(read, EVENT_READ)
        os.close(read)
        selector.unregister(read)
    os.close(write)


def test_a_turn_that_fails_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RelayLoop)

        def failing(events: Events) -> Events:
            raise RuntimeError("of a turn")

        loop.shared.turn = failing
        await asyncio.to_thread(lambda: None)  # its answer wakes the loop
        loop.shared.turn = None

    on_its_loop(test)
    assert "a turn of the relay failed" in caplog.text


def test_a_listener_that_pauses_is_closed_with_its_engine(tmp_path: Path) -> None:
    async def test(world: RelayWorld) -> None:
        engine = world.relay.engine
        listening = socket.create_server(("127.0.0.1", 0))
        listener = Listener(engine, lambda *_: None, listening)
        listener._pause(OSError(errno.EMFILE, "too many"))
        engine.abort(lambda one: one is listener)
        await until(lambda: listening.fileno() < 0)

    relaying(tmp_path, test)
