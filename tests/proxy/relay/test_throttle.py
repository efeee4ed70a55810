"""A rate for flows that one cap slows: kept, shared, and taken off again."""

import asyncio
import socket
import time

import pytest

from tests.proxy.relay.relay_world import RelayWorld, exactly, recv, send
from tripgate.core.bucket import Bucket
from tripgate.proxy.relay.throttle import AHEAD


@pytest.fixture
def real_time(world: RelayWorld, monkeypatch: pytest.MonkeyPatch) -> RelayWorld:
    """Rates are of real time; the engine's clock goes with it."""
    monkeypatch.setattr(world.relay.engine, "clock", time.monotonic)
    world.relay.engine.now = time.monotonic()
    # Segments as on a wire: a window of less than one, as on loopback, stalls by itself.
    world.origin.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)
    return world


def slow(world: RelayWorld, rate: int | None) -> None:
    """All flows move at ``rate`` bits per second together."""
    bucket = Bucket(rate, time.monotonic()) if rate is not None else None
    for flow in world.account.flows:
        flow.slow(bucket)


async def test_no_more_is_delivered_than_the_rate_gives(real_time: RelayWorld) -> None:
    world = real_time
    client, server = await world.pair()
    slow(world, 8 * 400_000)
    sending = asyncio.ensure_future(send(server, bytes(10_000_000)))
    began = time.monotonic()
    await exactly(client, 400_000)
    burst = Bucket(8 * 400_000, 0).burst
    assert burst + 400_000 * (time.monotonic() - began) >= 400_000
    sending.cancel()


async def test_flows_of_one_device_get_equal_parts(real_time: RelayWorld) -> None:
    world = real_time
    pairs = [await world.pair() for _ in range(3)]
    slow(world, 8 * 600_000)
    sending = [asyncio.ensure_future(send(server, bytes(10_000_000))) for _, server in pairs]
    got = [0, 0, 0]

    async def count(number: int) -> None:
        while sum(got) < 600_000:
            got[number] += len(await recv(pairs[number][0]))

    counting = [asyncio.ensure_future(count(number)) for number in range(3)]
    await asyncio.wait(counting, return_when=asyncio.FIRST_COMPLETED)
    for task in (*counting, *sending):
        task.cancel()
    assert max(got) <= 1.2 * min(got)


async def test_the_server_is_not_let_far_ahead(real_time: RelayWorld) -> None:
    world = real_time
    client, server = await world.pair()
    slow(world, 8 * 50_000)
    sending = asyncio.ensure_future(send(server, bytes(10_000_000)))
    await exactly(client, 30_000)
    (flow,) = world.account.flows
    wire = flow.wire()
    assert wire is not None
    assert wire.received - flow.meter.payload_down <= 2 * AHEAD  # type: ignore[attr-defined]
    sending.cancel()


async def test_a_flow_that_waits_and_hears_of_its_rate_again_keeps_its_place(
    real_time: RelayWorld,
) -> None:
    world = real_time
    client, server = await world.pair()
    bucket = Bucket(8 * 20_000, time.monotonic())
    (flow,) = world.account.flows
    flow.slow(bucket)
    sending = asyncio.ensure_future(send(server, bytes(30_000)))
    for _ in range(10):
        await recv(client, 1448)
        flow.slow(bucket)
    await asyncio.wait_for(exactly(client, 30_000 - 10 * 1448), 10)
    await sending


async def test_a_rate_that_is_taken_off_frees_the_flows(real_time: RelayWorld) -> None:
    world = real_time
    client, server = await world.pair()
    slow(world, 8 * 1_000)
    data = bytes(3_000_000)
    sending = asyncio.ensure_future(send(server, data))
    await recv(client)
    slow(world, None)
    await send(client, b"anything moves")
    await asyncio.wait_for(exactly(client, 2_000_000), 10)
    sending.cancel()


async def test_a_throttled_flow_is_looked_at_no_more_often_than_it_moves(
    real_time: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = real_time
    client, server = await world.pair()
    slow(world, 8 * 20_000)
    turns = 0
    turn = world.relay.engine.give_turn

    def counted(one: object) -> None:
        nonlocal turns
        turns += 1
        turn(one)  # type: ignore[arg-type]

    monkeypatch.setattr(world.relay.engine, "give_turn", counted)
    sending = asyncio.ensure_future(send(server, bytes(1_000_000)))
    await exactly(client, 20_000)
    assert turns <= 20_000 // 1448 + 5
    sending.cancel()


async def test_a_throttled_flow_that_is_cut_leaves_the_ring(real_time: RelayWorld) -> None:
    world = real_time
    client, server = await world.pair()
    slow(world, 8 * 1_000)
    sending = asyncio.ensure_future(send(server, bytes(1_000_000)))
    await recv(client)
    world.account.cut()
    with pytest.raises(ConnectionResetError):
        while await recv(client):
            pass
    await asyncio.gather(sending, return_exceptions=True)
    assert world.flows == 0
