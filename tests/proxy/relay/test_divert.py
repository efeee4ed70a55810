"""What an addon asks to see goes to mitmproxy's own layers, and is paid for all the same."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any, cast

import pytest
from mitmproxy import certs, http
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.master import Master

from tests.proxy.relay.relay_world import RelayWorld, exactly, recv, reset, rest, send, until
from tests.proxy.relay.test_loop import relaying
from tests.proxy.relay.test_observers import Everything, hello
from tripgate.core.units import parse_volume
from tripgate.proxy import dial, metered, runner
from tripgate.proxy.gate import Gate
from tripgate.proxy.hooks import MESSAGES_MOST, Hooks
from tripgate.proxy.relay import divert
from tripgate.proxy.relay.diverted import DivertedHandler
from tripgate.proxy.relay.flow import RelayFlow
from tripgate.proxy.relay.verdict import Allow, Asked, Refuse

GET = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"
MB = 1_000_000


class Reads:
    """An addon that looks at HTTP."""

    def __init__(self) -> None:
        self.flows: list[http.HTTPFlow] = []

    def response(self, flow: http.HTTPFlow) -> None:
        self.flows.append(flow)


@pytest.fixture
async def master(world: RelayWorld, tmp_path: Path) -> Master:
    made = runner.make_master(Hooks(cast(Gate, None)), [])
    made.addons.add(TlsConfig())
    made.options.update(confdir=str(tmp_path / "ca"), ssl_insecure=True)
    return made


def reply(volume: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % volume + bytes(volume)


async def asks(world: RelayWorld, request: bytes = GET) -> tuple[socket.socket, socket.socket]:
    """A client whose request has come to the server."""
    client = await world.client(request)
    server = await world.accepted()
    assert b"shop.example" in await recv(server)
    return client, server


async def nothing_is_left(world: RelayWorld) -> None:
    await until(lambda: world.relay.connections == 0)
    assert world.flows == 0 and not world.relay._diverter.open and not world.relay._crowd


async def test_an_addon_sees_a_flow_of_http_with_its_host(
    world: RelayWorld, master: Master
) -> None:
    master.addons.add(addon := Reads())
    client, server = await asks(world)
    await send(server, reply(1000))
    assert (await exactly(client, len(reply(1000)))).endswith(bytes(1000))
    (flow,) = addon.flows
    assert flow.request.pretty_url == "http://shop.example/a"
    assert (flow.request.host, flow.request.port) == world.origin.getsockname()
    assert flow.response is not None and flow.response.content == bytes(1000)
    assert flow.server_conn.peername == world.origin.getsockname()
    client.close()
    server.close()
    await nothing_is_left(world)


async def test_it_is_told_of_one_connection(world: RelayWorld, master: Master) -> None:
    class All(Everything, Reads):
        def __init__(self) -> None:
            Everything.__init__(self)
            self.flows = []

    master.addons.add(addon := All())
    client, server = await asks(world)
    await send(server, reply(10))
    await exactly(client, len(reply(10)))
    client.close()
    server.close()
    await nothing_is_left(world)
    assert addon.names == [
        "client_connected", "server_connect", "server_connected", "flow_metered",
        "client_disconnected",
    ]  # fmt: skip
    assert addon.data("client_connected") is addon.flows[0].client_conn
    assert addon.data("flow_metered").host == "shop.example"


async def test_beyond_what_may_be_diverted_a_connection_is_relayed(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divert, "MOST", 1)
    master.addons.add(addon := Reads())
    first, _ = await asks(world)
    client, server = await asks(world)
    await send(server, reply(10))
    assert await exactly(client, len(reply(10))) == reply(10)
    assert not addon.flows
    first.close()


async def test_the_device_pays_for_it_as_the_relay_would_have_it(
    world: RelayWorld, master: Master
) -> None:
    async def talk() -> int:
        before = world.account.budget.taken
        client, server = await asks(world)
        await send(server, reply(100_000))
        await exactly(client, len(reply(100_000)))
        client.close()
        server.close()
        await nothing_is_left(world)
        return world.account.budget.taken - before

    relayed = await talk()
    master.addons.add(addon := Reads())
    world.relay.observers._looked_at = -1.0
    diverted = await talk()
    assert addon.flows and relayed > 100_000
    assert abs(diverted - relayed) < relayed // 50
    assert world.stats.verdicts["allow"] == 2


async def test_a_cap_resets_both_sides(world: RelayWorld, master: Master) -> None:
    world.origin.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # as on an uplink
    master.addons.add(Reads())
    await world.cap(MB)
    client, server = await asks(world)
    sending = asyncio.ensure_future(send(server, reply(20 * MB)))
    with pytest.raises(ConnectionResetError):
        await rest(client)
    with pytest.raises(ConnectionError):
        await sending
    await nothing_is_left(world)
    assert world.account.budget.taken <= MB + 16 * 1024


@pytest.mark.parametrize("how", ["the end", "another device", "another address"])
async def test_the_gateway_ends_it_where_it_ends_the_others(
    world: RelayWorld, master: Master, how: str
) -> None:
    master.addons.add(Reads())
    client, server = await asks(world)
    if how == "another address":
        world.relay.cut("192.0.2.7")
        await send(server, reply(5))
        assert await exactly(client, len(reply(5))) == reply(5)
    if how == "the end":
        world.relay.close()
        world.relay.close = lambda: None  # type: ignore[method-assign]  # it was
    else:
        world.relay.cut("127.0.0.1")
    for sock in (client, server):
        with pytest.raises(ConnectionResetError):
            await rest(sock)
    await nothing_is_left(world)


async def test_what_is_cut_while_it_connects_sends_nothing(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting = asyncio.Event()

    async def connect(*_: object) -> socket.socket:
        connecting.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends the wait")

    monkeypatch.setattr(dial, "connect", connect)
    master.addons.add(Reads())
    client = await world.client(GET)
    await connecting.wait()
    world.relay.cut("127.0.0.1")
    with pytest.raises(ConnectionResetError):
        await recv(client)
    await nothing_is_left(world)
    assert world.account.budget.taken == 0


async def test_a_cut_waits_for_no_addon(world: RelayWorld, master: Master) -> None:
    asked = asyncio.Event()

    class Ponders:
        async def response(self, flow: http.HTTPFlow) -> None:
            asked.set()
            await asyncio.Event().wait()

    master.addons.add(Ponders())
    client, server = await asks(world)
    await send(server, reply(10))
    await asked.wait()
    assert world.account.cut() == 1
    for sock in (client, server):
        with pytest.raises(ConnectionResetError):
            await recv(sock)
    await nothing_is_left(world)


async def test_a_blocked_device_reaches_no_server_through_an_old_connection(
    world: RelayWorld, master: Master
) -> None:
    master.addons.add(Reads())
    client, server = await asks(world)
    await send(server, reply(1))
    await exactly(client, len(reply(1)))
    server.close()
    await until(lambda: not world.flows)
    world.refuse = Refuse("refuse-blocked")
    with pytest.raises(ConnectionResetError):
        await send(client, GET)
        await rest(client)
    await nothing_is_left(world)
    assert world.stats.verdicts["refuse-blocked"] == 1


async def test_an_addon_that_does_not_ask_leaves_the_fast_lane(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divert, "Diverted", None)
    master.addons.add(Everything(), Reads())  # it reads HTTP; this is TLS
    client, server = await world.pair(hello("shop.example"))
    (flow,) = world.account.flows
    assert isinstance(flow, RelayFlow)
    client.close()
    server.close()
    await nothing_is_left(world)


async def test_what_is_refused_is_not_diverted(world: RelayWorld, master: Master) -> None:
    master.addons.add(addon := Reads())
    world.refuse = Refuse("refuse-pending", b"HTTP/1.1 511 No\r\nContent-Length: 0\r\n\r\n")
    client = await world.client(GET)
    assert b"511" in await rest(client)
    client.close()
    await nothing_is_left(world)
    assert not addon.flows


@pytest.mark.parametrize("where", ["stream", "handler", "decision", "proxyserver"])
async def test_a_handover_that_fails_resets_the_client_and_frees_no_bytes(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    master.addons.add(Reads())
    if where == "stream":
        monkeypatch.setattr(dial, "open_stream", fail)
    elif where == "handler":
        monkeypatch.setattr(DivertedHandler, "handle_client", fail)
    elif where == "decision":
        monkeypatch.setattr(world.relay._diverter, "decide", fail)
    else:
        master.addons.remove(master.addons.get("proxyserver"))
    client = await world.client(GET)
    with pytest.raises(ConnectionResetError):
        await recv(client)
    await nothing_is_left(world)
    assert world.account.budget.taken == 0


async def test_a_server_that_is_not_there_resets_the_client(
    world: RelayWorld, master: Master
) -> None:
    master.addons.add(Reads())
    world.origin.close()
    world.port = 1
    client = await world.client(GET)
    with pytest.raises(ConnectionResetError):
        await recv(client)
    await nothing_is_left(world)
    assert world.stats.verdicts["unreachable"] == 1


async def test_an_addon_leads_nobody_to_a_private_address(
    world: RelayWorld, master: Master
) -> None:
    class Leads:
        def request(self, flow: http.HTTPFlow) -> None:
            flow.request.host = "192.168.7.7"

    master.addons.add(Leads())
    client = await world.client(GET)
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert world.stats.verdicts["refuse-destination"] == 1
    client.close()
    await nothing_is_left(world)


async def test_the_socket_to_the_server_has_the_devices_mark(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(asked: Asked) -> Allow:
        return Allow(world.account, 7)

    marked: list[int] = []
    monkeypatch.setattr(world.relay, "_decide", decide)
    monkeypatch.setattr(world.relay._diverter, "decide", decide)
    made = dial._socket

    def socket_of(info: Any, window: int, mark: int) -> socket.socket:
        marked.append(mark)
        return made(info, window, 0)

    monkeypatch.setattr(dial, "_socket", socket_of)
    master.addons.add(Reads())
    await asks(world)
    assert marked == [7]


async def held_of(world: RelayWorld, master: Master, size: int) -> bytes | None:
    """A body that has come to the client whole, as an addon has it."""
    master.addons.add(addon := Reads())
    client, server = await asks(world)
    sending = asyncio.ensure_future(send(server, reply(size)))
    assert len(await exactly(client, len(reply(size)))) == len(reply(size))
    await sending
    (flow,) = addon.flows
    assert flow.response is not None
    return flow.response.raw_content


async def test_an_addon_has_a_body_that_is_not_large_whole(
    world: RelayWorld, master: Master
) -> None:
    size = parse_volume("900KiB")
    assert await held_of(world, master, size) == bytes(size)


async def test_a_large_body_is_passed_on_and_not_held(world: RelayWorld, master: Master) -> None:
    assert await held_of(world, master, parse_volume("2MiB")) is None


async def test_an_addon_sees_raw_tcp_and_its_messages_are_not_kept_for_ever(
    world: RelayWorld, master: Master
) -> None:
    seen: list[bytes] = []
    held: list[int] = []

    class Raw:
        def tcp_message(self, flow: Any) -> None:
            seen.append(flow.messages[-1].content)
            held.append(len(flow.messages))

    master.addons.add(Raw())
    client = await world.client(b"\0one")
    server = await world.accepted()
    assert await recv(server) == b"\0one"
    for number in range(MESSAGES_MOST + 9):
        await send(server, b"%d" % number)
        await recv(client)
    assert seen[0] == b"\0one" and seen[-1] == b"%d" % (MESSAGES_MOST + 8)
    assert max(held) <= MESSAGES_MOST


async def test_an_addon_sees_raw_tcp_where_the_server_speaks_first(
    world: RelayWorld, master: Master
) -> None:
    class Raw:
        def tcp_start(self, flow: Any) -> None:
            started.append(flow)

    started: list[Any] = []
    master.addons.add(Raw())
    client = await world.client()
    await until(lambda: world.relay.connections == 1)
    await world.pass_time(1)
    server = await world.accepted()
    await send(server, b"220 mail\r\n")
    assert await exactly(client, 10) == b"220 mail\r\n"
    assert len(started) == 1
    server.close()
    assert await recv(client) == b""
    client.close()
    await nothing_is_left(world)


async def test_a_servers_reset_is_the_clients(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metered, "TOLD_S", 0.01)
    master.addons.add(Reads())
    client, server = await asks(world)
    await send(server, b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\nbeginning")
    assert (await recv(client)).startswith(b"HTTP/1.1 200")
    reset(server)
    with pytest.raises(ConnectionResetError):
        await rest(client)
    client.close()
    await nothing_is_left(world)


def test_it_is_handed_over_within_the_relays_own_loop(tmp_path: Path) -> None:
    async def test(world: RelayWorld) -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
        runner.make_master(Hooks(cast(Gate, None)), []).addons.add(addon := Reads())
        for _ in range(3):
            client, server = await asks(world)
            await send(server, reply(100_000))
            assert await exactly(client, len(reply(100_000))) == reply(100_000)
            client.close()
            server.close()
        await nothing_is_left(world)
        assert len(addon.flows) == 3

    relaying(tmp_path, test)


async def test_an_addon_has_tls_decrypted_where_it_asks_for_it(
    world: RelayWorld, master: Master, tmp_path: Path
) -> None:
    class Opens(Reads):
        def tls_clienthello(self, data: Any) -> None:
            data.ignore_connection = data.client_hello.sni != "shop.example"

    master.addons.add(addon := Opens())
    serving = await asyncio.start_server(
        _answer, "127.0.0.1", 0, ssl=_server_side(tmp_path / "origin")
    )
    world.port = serving.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    for name in ("shop.example", "bank.example"):
        reader, writer = await asyncio.open_connection(
            *world.front.getsockname(), ssl=trusting, server_hostname=name
        )
        writer.write(GET)
        assert b"hi" in await reader.read()
        writer.close()
    serving.close()
    assert [flow.request.pretty_url for flow in addon.flows] == ["https://shop.example/a"]
    await nothing_is_left(world)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
    writer.close()


def _server_side(folder: Path) -> ssl.SSLContext:
    store = certs.CertStore.from_store(folder, "origin", 2048)
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "origin-ca.pem")
    assert store
    return made
