"""Relayed connections: every byte, in order, and each kind of end as what it is."""

import asyncio
import errno
import gc
import os
import socket
from pathlib import Path

import pytest

from tests.proxy.relay.relay_world import (
    RelayWorld,
    exactly,
    listening,
    recv,
    reset,
    rest,
    send,
    until,
)  # fmt: skip

MIB = 1 << 20


async def test_bytes_pass_in_both_directions(world: RelayWorld) -> None:
    client, server = await world.pair(b"ping")
    await send(server, b"pong")
    assert await exactly(client, 4) == b"pong"


@pytest.mark.parametrize("volume", [10_000, 300_000, 40 * MIB], ids=["small", "middle", "large"])
async def test_a_download_is_the_same_to_the_byte(world: RelayWorld, volume: int) -> None:
    client, server = await world.pair()
    data = os.urandom(MIB) * (volume // MIB) + os.urandom(volume % MIB)
    sending = asyncio.ensure_future(send(server, data))
    assert await exactly(client, volume) == data
    await sending


async def test_uploads_and_downloads_at_the_same_time_are_the_same_to_the_byte(
    world: RelayWorld,
) -> None:
    client, server = await world.pair()
    up, down = os.urandom(MIB) * 9, os.urandom(MIB) * 7
    sending = asyncio.gather(send(client, up), send(server, down))
    assert await asyncio.gather(exactly(server, len(up)), exactly(client, len(down))) == [up, down]
    await sending


async def test_a_reader_that_stops_holds_the_sender_and_loses_nothing(world: RelayWorld) -> None:
    client, server = await world.pair()
    data = os.urandom(MIB) * 30
    sending = asyncio.ensure_future(send(server, data))
    await exactly(client, MIB)
    moved = -1
    while moved != world.account.budget.taken:
        moved = world.account.budget.taken
        await asyncio.sleep(0.2)
    assert not sending.done()
    assert await exactly(client, len(data) - MIB) == data[MIB:]
    await sending


async def test_a_half_close_goes_on_and_the_other_way_lives(world: RelayWorld) -> None:
    client, server = await world.pair(b"question")
    client.shutdown(socket.SHUT_WR)
    assert await rest(server) == b""
    await send(server, b"answer")
    server.close()
    assert await rest(client) == b"answer"


async def test_a_server_that_closes_first_does_not_end_the_upload(world: RelayWorld) -> None:
    client, server = await world.pair()
    await send(server, b"bye")
    server.shutdown(socket.SHUT_WR)
    assert await rest(client) == b"bye"
    await send(client, b"still here")
    client.close()
    assert await rest(server) == b"still here"


async def test_an_end_that_comes_with_the_last_bytes_of_a_large_way_is_not_missed(
    world: RelayWorld,
) -> None:
    client, server = await world.pair()
    data = os.urandom(MIB) * 5 + b"tail"
    await asyncio.gather(_send_and_close(server, data), _is(client, data))


async def _send_and_close(sock: socket.socket, data: bytes) -> None:
    await send(sock, data)
    sock.close()


async def _is(sock: socket.socket, data: bytes) -> None:
    assert await rest(sock) == data


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_reset_goes_on_as_a_reset(world: RelayWorld, who: str) -> None:
    client, server = await world.pair()
    first, other = (client, server) if who == "client" else (server, client)
    reset(first)
    with pytest.raises(ConnectionResetError):
        await recv(other)
    assert world.flows == 0


async def test_a_reset_after_a_half_close_goes_on(world: RelayWorld) -> None:
    client, server = await world.pair()
    client.shutdown(socket.SHUT_WR)
    assert await rest(server) == b""
    reset(client)
    await until(lambda: world.flows == 0)
    with pytest.raises(OSError):
        while True:
            await send(server, b"nobody reads this")
            await asyncio.sleep(0.001)


async def test_a_failed_connect_resets_the_client(world: RelayWorld) -> None:
    gone = listening()
    world.port = gone.getsockname()[1]
    gone.close()
    client = await world.client(b"!")
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert world.stats.verdicts["unreachable"] == 1


async def test_everything_is_given_back_when_connections_end(world: RelayWorld) -> None:
    async def fifty() -> int:
        for _ in range(50):
            client, server = await world.pair()
            client.close()
            server.close()
        await until(lambda: world.relay.connections == 0)
        await asyncio.sleep(0)
        gc.collect()  # what earlier tests have left open
        return len(list(Path("/proc/self/fd").iterdir()))

    assert await fifty() == await fifty()
    assert world.flows == 0


async def test_a_thousand_connections_under_reused_descriptors_do_not_mix(
    world: RelayWorld,
) -> None:
    echoes = set[asyncio.Future[None]]()

    async def echo() -> None:
        while True:
            echoes.add(asyncio.ensure_future(_echo_one(await world.accepted())))

    async def _echo_one(sock: socket.socket) -> None:
        await send(sock, await recv(sock))
        sock.close()

    async def one(number: int) -> None:
        async with gate:
            text = b"connection %d" % number
            client = await world.client(text)
            assert await rest(client) == text
            client.close()

    gate, server = asyncio.Semaphore(64), asyncio.ensure_future(echo())
    await asyncio.gather(*map(one, range(1000)))
    server.cancel()
    assert world.stats.verdicts["allow"] == 1000


async def test_without_descriptors_a_client_is_reset_and_nothing_is_left_of_it(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    watched = len(world.relay.engine._handlers)
    with monkeypatch.context() as patch:
        client = await world.client()
        await until(lambda: world.relay.connections == 1)
        patch.setattr("tripgate.proxy.relay.relay.Socket", exhausted)
        await send(client, b"!")
        await until(lambda: world.relay.connections == 0)
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert (len(world.relay.engine._handlers), world.flows) == (watched, 0)


async def test_a_cut_at_one_address_of_a_device_leaves_its_others_alone(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.relay, "crowd_of", lambda address: "phone")
    clients, servers = [], []
    for host in ("127.0.0.2", "127.0.0.3"):
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((host, 0))
        await asyncio.get_running_loop().sock_connect(sock, world.front.getsockname())
        await send(sock, b"!")
        servers.append(await world.accepted())
        clients.append(sock)
    world.relay.cut("127.0.0.2")
    with pytest.raises(ConnectionResetError):
        await recv(clients[0])
    assert world.flows == 1
    for sock in (*clients, *servers):
        sock.close()
