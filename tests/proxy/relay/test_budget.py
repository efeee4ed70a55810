"""The budget in the relay: charged before it moves, shared by flows, and an end that holds."""

import asyncio
from typing import Any

import pytest

from tests.proxy.relay.relay_world import PAGE, RelayWorld, exactly, recv, rest, send, until
from tests.proxy.relay.test_peek import REQUEST, hello
from tripgate.core.wirecost import WireCost

COST = WireCost.of(4)
MB = 1_000_000


async def test_a_download_is_charged_with_its_headers(world: RelayWorld) -> None:
    client, server = await world.pair(b"!")
    await send(server, bytes(100_000))
    await exactly(client, 100_000)
    opening = sum(COST.opening)
    least = opening + COST.volume(1) + COST.volume(100_000)
    assert least <= world.account.budget.taken <= least + 100 * 3 * COST.header


async def test_downloads_stop_at_the_cap_and_both_sides_are_reset(world: RelayWorld) -> None:
    await world.cap(2 * MB)
    client, server = await world.pair()
    sending = asyncio.ensure_future(send(server, bytes(20 * MB)))
    got = 0
    with pytest.raises(ConnectionResetError):
        while True:
            got += len(await recv(client))
    with pytest.raises(OSError):
        await sending
    assert COST.volume(got) <= 2 * MB


async def test_uploads_stop_at_the_cap(world: RelayWorld) -> None:
    await world.cap(2 * MB)
    client, server = await world.pair()
    sending = asyncio.ensure_future(send(client, bytes(20 * MB)))
    got = 0
    with pytest.raises(ConnectionResetError):
        while True:
            got += len(await recv(server))
    with pytest.raises(OSError):
        await sending
    assert COST.volume(got) <= 2 * MB


async def test_what_a_device_does_not_read_is_hardly_fetched(world: RelayWorld) -> None:
    _client, server = await world.pair()
    world.account.budget.granted = 100 * MB
    sending = asyncio.ensure_future(send(server, bytes(50 * MB)))
    seen = -1
    while (taken := world.account.budget.taken) != seen:
        seen = taken
        await asyncio.sleep(0.2)
    sending.cancel()
    assert taken < MB


async def test_what_the_ledger_counts_is_what_was_taken(world: RelayWorld) -> None:
    client, server = await world.pair(hello())
    await asyncio.gather(send(server, bytes(5 * MB)), exactly(client, 5 * MB))
    client.close()
    server.close()
    await until(lambda: world.flows == 0)
    taken = world.account.budget.taken
    await world.settler.close()
    assert (await world.used())[0] == taken


async def test_a_cap_that_is_raised_lets_new_flows_through(world: RelayWorld) -> None:
    await world.cap(1 * MB)
    client, server = await world.pair()
    sending = asyncio.ensure_future(send(server, bytes(5 * MB)))
    with pytest.raises(ConnectionResetError):
        while True:
            await recv(client)
    await asyncio.gather(sending, return_exceptions=True)
    await world.cap(50 * MB)
    client, server = await world.pair(hello())
    await asyncio.gather(send(server, bytes(MB)), exactly(client, MB))


async def test_at_the_cap_a_request_gets_the_page(world: RelayWorld) -> None:
    await world.cap(1)
    client = await world.client(REQUEST)
    assert await rest(client) == PAGE


async def test_at_the_cap_nothing_is_sent_for_a_tls_client(world: RelayWorld) -> None:
    await world.cap(1)
    client = await world.client(hello())
    with pytest.raises(ConnectionResetError):
        await recv(client)
    with pytest.raises(BlockingIOError):
        world.origin.accept()


async def test_flows_without_budget_wait_for_one_grant_and_are_not_looked_at(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [await world.pair() for _ in range(3)]
    may_go_on, asked, more = asyncio.Event(), [], world.desk.more

    async def slow(account: Any) -> bool:
        asked.append(account)
        await may_go_on.wait()
        return await more(account)

    monkeypatch.setattr(world.desk, "more", slow)
    monkeypatch.setattr(world.desk, "low", lambda account: None)
    world.account.budget.granted = world.account.budget.taken
    for _, server in pairs:
        await send(server, b"late")
    await until(lambda: asked)
    turns = 0
    turn = world.relay.engine.give_turn

    def counted(one: Any) -> None:
        nonlocal turns
        turns += 1
        turn(one)

    monkeypatch.setattr(world.relay.engine, "give_turn", counted)
    await asyncio.sleep(0.05)
    assert (len(asked), turns) == (1, 0)
    may_go_on.set()
    assert [await exactly(client, 4) for client, _ in pairs] == [b"late"] * 3


async def test_an_error_in_asking_for_a_grant_moves_no_byte(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(account: Any) -> bool:
        raise RuntimeError("broken")

    client, server = await world.pair()
    monkeypatch.setattr(world.desk, "more", broken)
    monkeypatch.setattr(world.desk, "low", lambda account: None)
    world.account.budget.granted = world.account.budget.taken
    await send(server, b"data")
    with pytest.raises(ConnectionResetError):
        await recv(client)


async def test_what_arrived_unread_at_the_cut_is_charged(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = await world.pair()
    monkeypatch.setattr(world.desk, "low", lambda account: None)
    never = asyncio.Event()
    monkeypatch.setattr(world.desk, "more", lambda account: never.wait())
    world.account.budget.granted = before = world.account.budget.taken
    await send(server, bytes(50_000))
    await until(lambda: _received(world) >= 50_000)
    world.account.cut()
    assert world.account.budget.taken >= before + 50_000


def _received(world: RelayWorld) -> int:
    (flow,) = world.account.flows
    wire = flow.wire()
    return wire.received if wire else 0
