"""A bulk way is pumped once in a pause, and never forgotten."""

import socket

import pytest

from tests.proxy.relay.relay_world import RelayWorld, exactly, recv, send, until
from tripgate.proxy.relay.way import SPLICE_FROM

BULK = 2 * SPLICE_FROM
LONG_S = 3600.0


@pytest.fixture
async def bulk(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> tuple[socket.socket, socket.socket]:
    """The ends of a download that has become bulk, at rest; a pause ends when a test says so."""
    client, server = await world.pair()
    await send(server, bytes(BULK))
    await exactly(client, BULK)
    engine = world.relay.engine
    monkeypatch.setattr("tripgate.proxy.relay.engine.PAUSE_S", LONG_S)
    await until(lambda: not engine._resting)
    return client, server


async def test_what_arrives_in_the_pause_waits_for_its_end(
    world: RelayWorld, bulk: tuple[socket.socket, socket.socket]
) -> None:
    client, server = bulk
    await send(server, b"x")
    await until(lambda: world.relay.engine._resting)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    world.relay.engine._rested()
    assert await recv(client) == b"x"


async def test_after_a_silence_nothing_waits(
    world: RelayWorld, bulk: tuple[socket.socket, socket.socket]
) -> None:
    client, server = bulk
    world.clock.now += 1
    await send(server, b"x")
    assert await recv(client) == b"x"


async def test_a_way_at_rest_is_told_of_nothing(
    world: RelayWorld, bulk: tuple[socket.socket, socket.socket]
) -> None:
    _, server = bulk
    await send(server, b"x")
    await until(lambda: world.relay.engine._resting)
    await send(server, b"y")
    assert world.relay.engine._poll(0, 16) == []


async def test_a_flow_that_ends_in_the_pause_is_over(
    world: RelayWorld, bulk: tuple[socket.socket, socket.socket]
) -> None:
    _, server = bulk
    await send(server, b"x")
    await until(lambda: world.relay.engine._resting)
    world.account.cut()
    world.relay.engine._rested()
    await until(lambda: world.flows == 0)
