"""The first bytes: named, waited for, bounded; none of them lost."""

import asyncio
import socket

import pytest

from tests.proxy.relay.relay_world import PAGE, RelayWorld, exactly, recv, rest, send, until
from tripgate.proxy.relay.lane import HEAD_S, HUSH_S
from tripgate.proxy.relay.verdict import Refuse

REQUEST = b"GET / HTTP/1.1\r\nHost: Example.org\r\n\r\n"


def hello(name: bytes = b"example.com") -> bytes:
    """A ClientHello with this server name, in one record."""
    entry = b"\0" + len(name).to_bytes(2) + name
    names = len(entry).to_bytes(2) + entry
    extension = b"\0\0" + len(names).to_bytes(2) + names
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    body += len(extension).to_bytes(2) + extension
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\3\1" + len(message).to_bytes(2) + message


@pytest.mark.parametrize(
    ("first", "name"),
    [(hello(), "example.com"), (REQUEST, "example.org"), (b"SSH-2.0-x\r\n", None)],
    ids=["TLS", "HTTP", "neither"],
)
async def test_the_first_bytes_give_the_name_and_go_on(
    world: RelayWorld, first: bytes, name: str | None
) -> None:
    await world.pair(first)
    assert {asked.name for asked in world.asked} == {name}


async def test_a_hello_in_single_bytes_is_named_and_goes_on(world: RelayWorld) -> None:
    client = await world.client()
    for byte in hello():
        await send(client, bytes([byte]))
        await asyncio.sleep(0)
    server = await world.accepted()
    assert await exactly(server, len(hello())) == hello()
    assert world.asked[0].name == "example.com"


async def test_a_server_that_speaks_first_is_reached_after_a_short_wait(world: RelayWorld) -> None:
    client = await world.client()
    await until(lambda: world.relay.connections == 1)
    await world.pass_time(HUSH_S)
    server = await world.accepted()
    await send(server, b"220 mail")
    assert await exactly(client, 8) == b"220 mail"
    assert world.asked[0].name is None


async def test_where_clients_speak_first_nothing_is_sent_for_a_silent_one(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripgate.proxy.relay.peek.CLIENT_FIRST", {world.origin.getsockname()[1]})
    client = await world.client()
    await until(lambda: world.relay.connections == 1)
    await world.pass_time(HUSH_S)
    assert world.asked == []
    await world.pass_time(HEAD_S)
    with pytest.raises(ConnectionResetError):
        await recv(client)


async def test_a_hello_that_never_ends_is_reset_at_the_deadline(world: RelayWorld) -> None:
    client = await world.client(hello()[:20])
    await until(lambda: [peek._seen for peek in world.relay.hushed._due] == [20])  # type: ignore[attr-defined]
    await world.pass_time(HUSH_S)
    await send(client, hello()[20:22])
    await world.pass_time(HEAD_S)
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert world.stats.verdicts["refuse-silent"] == 1


async def test_a_client_that_leaves_without_a_word_is_forgotten(world: RelayWorld) -> None:
    client = await world.client()
    await until(lambda: world.relay.connections == 1)
    client.close()
    await until(lambda: world.relay.connections == 0)
    assert world.asked == []


async def test_a_refused_request_gets_the_whole_page(world: RelayWorld) -> None:
    world.refuse = Refuse("refuse-pending", PAGE)
    client = await world.client(REQUEST + bytes(100_000))
    assert await rest(client) == PAGE
    client.close()
    await until(lambda: world.relay.connections == 0)


async def test_a_refused_client_that_does_not_leave_is_closed_in_the_end(world: RelayWorld) -> None:
    world.refuse = Refuse("refuse-pending", PAGE)
    client = await world.client(REQUEST)
    assert await rest(client) == PAGE
    await world.pass_time(HEAD_S)
    assert world.relay.connections == 0


async def test_a_refused_tls_client_is_reset(world: RelayWorld) -> None:
    world.refuse = Refuse("refuse-pending", PAGE)
    client = await world.client(hello())
    with pytest.raises(ConnectionResetError):
        await recv(client)


async def test_a_forbidden_destination_is_not_connected_to(world: RelayWorld) -> None:
    world.relay._destinations._kept.clear()
    client = await world.client(hello())
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert world.stats.verdicts["refuse-destination"] == 1


async def test_plain_http_to_a_forbidden_destination_gets_a_page(world: RelayWorld) -> None:
    world.relay._destinations._kept["127.0.0.1"] = "loopback"
    world.relay._forbidden = lambda asked: PAGE
    client = await world.client(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert await rest(client) == PAGE
    assert world.stats.verdicts["refuse-destination"] == 1
    client.close()


async def test_too_many_connections_of_one_client_are_reset(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripgate.proxy.relay.lane.PER_DEVICE", 2)
    kept = [await world.client() for _ in range(2)]
    await until(lambda: world.relay.connections == 2)
    with pytest.raises(ConnectionResetError):
        await recv(await world.client())
    assert world.relay.connections == len(kept)


async def test_those_who_are_not_let_in_have_one_crowds_limit_together(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripgate.proxy.relay.lane.PER_DEVICE", 2)
    monkeypatch.setattr(world.relay, "crowd_of", lambda address: "")
    front, sockets = world.front.getsockname(), [socket.socket() for _ in range(3)]
    for number, sock in enumerate(sockets):
        sock.setblocking(False)
        sock.bind((f"127.0.0.{2 + number}", 0))
    for sock in sockets[:2]:
        await asyncio.get_running_loop().sock_connect(sock, front)
    await until(lambda: world.relay.connections == 2)
    with pytest.raises(ConnectionResetError):
        await asyncio.get_running_loop().sock_connect(sockets[2], front)
        await recv(sockets[2])
    assert world.relay.connections == 2
    for sock in sockets:
        sock.close()
