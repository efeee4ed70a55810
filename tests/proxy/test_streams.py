"""The metered streams: nothing passes without budget, nothing queues without bound."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tripgate.clock import Clock, SystemClock
from tripgate.core.bucket import Bucket
from tripgate.core.classify import Catalogue
from tripgate.core.meter import Meter
from tripgate.proxy import streams
from tripgate.proxy.account import Account
from tripgate.proxy.dial import open_stream
from tripgate.proxy.flow import Flow
from tripgate.proxy.judge import Judge
from tripgate.proxy.stats import Stats
from tripgate.proxy.streams import Backlog, ClientReader, ClientWriter, MeteredReader, MeteredWriter


class NoSlot:
    def set(self, taken: int) -> None: ...
    def release(self) -> None: ...


@dataclass
class Desk:
    """Grants what the test gives it, one after the other, then nothing."""

    account: Account
    grants: list[int] = field(default_factory=list)
    asked: int = 0
    clock: Clock = field(default_factory=SystemClock)
    judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self.judge = Judge(Catalogue({}), self.clock, Stats())

    async def more(self, account: Account) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.grants:
            account.cut()
            return False
        account.budget.granted += self.grants.pop(0)
        return True

    def low(self, account: Account) -> None: ...


@dataclass
class World:
    """A gateway's upstream connection, and the far end of it."""

    reader: MeteredReader
    writer: MeteredWriter
    flow: Flow
    desk: Desk
    far_reader: asyncio.StreamReader
    far_writer: asyncio.StreamWriter
    aborted: list[bool]


@asynccontextmanager
async def world(granted: int, *grants: int) -> AsyncIterator[World]:
    accepted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(
        lambda r, w: accepted.set_result((r, w)), "127.0.0.1", 0, limit=2**20
    )
    sock = await connect(server.sockets[0].getsockname()[1])
    account = Account("dev-test", lambda _: None)
    account.open("l:1", (), NoSlot()).budget.granted = granted
    desk, aborted = Desk(account, list(grants)), list[bool]()
    meter = Meter(account, "name.example", "127.0.0.1")
    flow = Flow(cast(Any, desk), account, meter, lambda: aborted.append(True))
    reader, writer = await open_stream(sock, flow.lost)
    flow.opened(writer.transport)
    backlog = Backlog()
    far_reader, far_writer = await accepted
    try:
        yield World(
            MeteredReader(reader, flow, backlog), MeteredWriter(writer, flow, backlog),
            flow, desk, far_reader, far_writer, aborted,
        )  # fmt: skip
    finally:
        writer.transport.abort()
        far_writer.transport.abort()
        server.close()


async def connect(port: int) -> Any:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def test_a_read_gives_only_what_was_granted_and_keeps_the_rest() -> None:
    async with world(4, 3) as w:
        w.far_writer.write(b"0123456789")
        assert await w.reader.read() == b"0123"
        assert await w.reader.read() == b"456"
        assert w.flow.meter.down == 7


async def test_a_read_without_a_grant_ends_the_flow_on_both_sides() -> None:
    async with world(0) as w:
        w.far_writer.write(b"data")
        with pytest.raises(ConnectionResetError):
            await w.reader.read()
        assert w.aborted == [True]
        with pytest.raises(ConnectionResetError):
            await w.far_reader.read(1)


async def test_a_write_hands_over_only_what_was_granted_until_more_comes() -> None:
    async with world(4, 6) as w:
        w.writer.write(b"0123456789")
        await w.writer.drain()
        assert await w.far_reader.readexactly(10) == b"0123456789"
        assert w.flow.meter.up == 10


async def test_writes_keep_their_order_while_they_wait() -> None:
    async with world(1, 1, 100) as w:
        for letter in (b"a", b"b", b"c"):
            w.writer.write(letter)
        await w.writer.drain()
        assert await w.far_reader.readexactly(3) == b"abc"


async def test_a_write_without_a_grant_is_dropped_and_the_flow_is_cut() -> None:
    async with world(2) as w:
        w.writer.write(b"0123456789")
        with pytest.raises(ConnectionResetError):
            await w.writer.drain()
        assert w.aborted == [True]
        assert w.flow.meter.up == 2


async def test_closing_waits_for_bytes_that_wait_for_a_grant() -> None:
    async with world(1, 9) as w:
        w.writer.write(b"0123456789")
        w.writer.close()
        assert await w.far_reader.readexactly(10) == b"0123456789"
        assert await w.far_reader.read(1) == b""


async def test_a_half_close_comes_after_the_bytes_before_it() -> None:
    async with world(1, 9) as w:
        w.writer.write(b"0123456789")
        w.writer.write_eof()
        assert await w.far_reader.readexactly(10) == b"0123456789"
        assert await w.far_reader.read(1) == b""


async def test_after_a_cut_nothing_more_is_taken_though_budget_came() -> None:
    async with world(0) as w:
        w.flow.cut()
        w.flow.account.budget.granted = 100
        w.writer.write(b"late")
        with pytest.raises(ConnectionResetError):
            await w.writer.drain()
        assert w.flow.meter.up == 0


async def test_what_arrived_unread_is_charged_when_the_connection_ends() -> None:
    async with world(4) as w:
        w.far_writer.write(b"0123456789")
        assert await w.reader.read() == b"0123"
        w.flow.cut()
        while not w.flow.finished:  # noqa: ASYNC110 - a plain flag of the code under test
            await asyncio.sleep(0.01)
        assert w.flow.account.budget.taken == 10


async def test_reading_stops_when_the_layers_make_no_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "BACKLOG_S", 0.05)
    backlog = Backlog()
    reader = asyncio.StreamReader(limit=2**20)
    client = ClientReader(reader, backlog)
    read = 0
    with pytest.raises(TimeoutError):
        while True:
            reader.feed_data(bytes(65536))
            read += len(await client.read(65536))
    assert read <= streams.BACKLOG + 65536


async def test_a_write_lets_reading_go_on() -> None:
    backlog = Backlog()
    backlog.read(streams.BACKLOG + 1)
    waiting = asyncio.ensure_future(backlog.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.moved()
    await waiting


class Written:
    """A stream writer that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def write_eof(self) -> None:
        self.told.append(b"<end>")

    def is_closing(self) -> bool:
        return False


async def test_after_an_answer_nothing_else_is_written_and_input_is_thrown_away() -> None:
    reader, raw, backlog = asyncio.StreamReader(), Written(), Backlog()
    client = ClientReader(reader, backlog)
    writer = ClientWriter(cast(Any, raw), backlog)
    writer.answer(b"no")
    client.answered(lambda: None)
    writer.write(b"more")
    writer.write_eof()
    reader.feed_data(b"an upload that nobody wants")
    reader.feed_eof()
    assert await client.read() == b""
    assert raw.told == [b"no", b"<end>"]


async def test_lingering_after_an_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LINGER_S", 0.05)
    client = ClientReader(asyncio.StreamReader(), Backlog())
    client.answered(lambda: None)
    assert await asyncio.wait_for(client.read(), 5) == b""


async def test_that_an_answer_is_home_is_told_after_lingering() -> None:
    reader, told = asyncio.StreamReader(), asyncio.Event()
    client = ClientReader(reader, Backlog())
    client.answered(told.set)
    reading = asyncio.ensure_future(client.read())
    await asyncio.sleep(0)
    assert not told.is_set()
    reader.feed_eof()
    assert await reading == b""
    assert told.is_set()


class Gone(Written):
    """A stream writer whose other side reset the connection."""

    def write_eof(self) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


def test_an_answer_to_a_client_that_has_gone_is_no_error() -> None:
    writer = ClientWriter(cast(Any, raw := Gone()), Backlog())
    writer.answer(b"no")
    assert raw.told == [b"no"]


def test_the_end_for_a_client_that_has_gone_is_no_error() -> None:
    writer = ClientWriter(cast(Any, raw := Gone()), Backlog())
    writer.write_eof()
    assert raw.told == []


def test_a_slowed_flow_keeps_to_the_smaller_window_when_its_account_shares_out_more() -> None:
    assert asyncio.run(_window_after(lambda flow: flow.window(1 << 20))) <= 32 * 1024


def test_a_slowed_flow_that_joins_others_keeps_to_the_smaller_window() -> None:
    assert asyncio.run(_window_after(lambda flow: flow.account.join(flow))) <= 32 * 1024


def test_a_flow_that_is_slowed_no_more_has_its_share_again() -> None:
    def free(flow: Flow) -> None:
        flow.window(256 * 1024)
        flow.slow(None)

    assert asyncio.run(_window_after(free)) >= 128 * 1024


async def _window_after(change: Callable[[Flow], None]) -> int:
    """The receive buffer of a flow slowed to 256 kbit/s, bytes, after ``change``."""
    async with world(1000) as w:
        w.flow.account.left = 1 << 23
        w.flow.slow(Bucket(256_000, 0.0))
        change(w.flow)
        sock = w.writer.get_extra_info("socket")
        size: int = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        return size
