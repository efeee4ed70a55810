"""The engine's own promises: deadlines, turns, errors, log lines, silence."""

import asyncio
import logging
import socket
import time
from typing import Any

import pytest

from tests.proxy.relay.relay_world import RelayWorld, exactly, recv, send, until
from tripgate.proxy.relay.deadlines import Deadlines
from tripgate.proxy.relay.engine import READ, TURN_S, Engine
from tripgate.proxy.relay.lane import HALF_IDLE_S, IDLE_S
from tripgate.proxy.relay.pipes import SIZE_MAX, Pipes
from tripgate.proxy.relay.quiet import Quiet


class Thing:
    def __init__(self) -> None:
        self.expired: list[float] = []

    def expire(self, now: float) -> None:
        self.expired.append(now)


def test_deadlines_expire_in_order_and_once() -> None:
    queue, things = Deadlines(5), [Thing(), Thing()]
    queue.enter(things[0], 0)
    queue.enter(things[1], 1)
    for now in (4, 5.5, 7, 8):
        queue.expire(now)
    assert [thing.expired for thing in things] == [[5.5], [7]]


def test_who_has_left_does_not_expire() -> None:
    queue, thing = Deadlines(5), Thing()
    queue.enter(thing, 0)
    queue.leave(thing)
    queue.expire(9)
    assert not thing.expired and not len(queue)


def test_a_cause_is_logged_once_a_second_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    quiet = Quiet(logging.getLogger("tripgate.test"), lambda: now[0])
    for _ in range(5):
        quiet.warning("bad %s", "luck")
    now[0] = 1.0
    quiet.warning("bad %s", "luck")
    assert [r.getMessage() for r in caplog.records] == [
        "bad luck", "bad luck (and 4 times more)",
    ]  # fmt: skip


def test_pipes_are_bounded_and_grow_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tripgate.proxy.relay.pipes.PIPES", 1)
    pipes = Pipes()
    pipe = pipes.lend()
    assert pipe is not None and pipes.lend() is None
    for _ in range(5):
        pipe.grow()
    assert pipe.size <= SIZE_MAX
    pipes.give_back(pipe)
    pipes.close()


async def test_an_error_in_one_connection_ends_that_one_only(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await world.pair(), await world.pair()
    flow = next(f for f in world.account.flows if f.client.getpeername() == one[0].getsockname())  # type: ignore[attr-defined]

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(type(flow.meter), "moved_down", broken)
    await send(one[1], b"x")
    with pytest.raises(ConnectionResetError):
        await recv(one[0])
    monkeypatch.undo()
    await send(other[1], b"fine")
    assert await exactly(other[0], 4) == b"fine"


async def test_a_silent_connection_is_kept_for_two_hours_and_then_reset(world: RelayWorld) -> None:
    client, _server = await world.pair()
    for _ in range(int(IDLE_S // HALF_IDLE_S) - 1):
        await world.pass_time(HALF_IDLE_S)
    assert world.flows == 1
    await world.pass_time(2 * HALF_IDLE_S)
    with pytest.raises(ConnectionResetError):
        await recv(client)


async def test_a_silent_half_closed_connection_is_reset_sooner(world: RelayWorld) -> None:
    client, server = await world.pair()
    server.shutdown(socket.SHUT_WR)
    assert await recv(client) == b""
    await world.pass_time(HALF_IDLE_S + 1)
    assert world.flows == 0


async def test_a_connect_without_an_answer_is_given_up(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    filler = [socket.socket() for _ in range(4)]  # the queue of who listens is full
    for sock in filler:
        sock.setblocking(False)
        sock.connect_ex(deaf.getsockname())
    world.port = deaf.getsockname()[1]
    client = await world.client(b"!")
    await until(lambda: len(world.relay.connecting) == 1)
    await world.pass_time(11)
    with pytest.raises(ConnectionResetError):
        await recv(client)
    for sock in (*filler, deaf):
        sock.close()


async def test_an_idle_relay_has_no_timer(world: RelayWorld) -> None:
    client, server = await world.pair()
    client.close()
    server.close()
    await until(lambda: world.relay.connections == 0)
    await world.pass_time(1)
    assert world.relay.engine._ticking is None


async def test_the_windows_are_held_near_the_cap(world: RelayWorld) -> None:
    await world.cap(400_000)
    _pair = await world.pair()
    (flow,) = world.account.flows
    size = flow.server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)  # type: ignore[attr-defined]
    assert size <= 400_000


async def test_far_from_a_cap_the_window_is_the_kernels(world: RelayWorld) -> None:
    _pair = await world.pair()
    (flow,) = world.account.flows
    assert flow.asked_window is None  # type: ignore[attr-defined]


async def test_many_flows_share_what_is_left(world: RelayWorld) -> None:
    await world.cap(1_000_000)
    pairs = [await world.pair() for _ in range(10)]
    assert world.flows == len(pairs)
    windows = [flow.asked_window for flow in world.account.flows]  # type: ignore[attr-defined]
    assert sum(windows) <= 0.65 * 1_000_000


async def test_closing_the_relay_resets_everybody(world: RelayWorld) -> None:
    client, _ = await world.pair()
    world.relay.engine.close = lambda: None  # type: ignore[method-assign] # the fixture closes again
    type(world.relay.engine).close(world.relay.engine)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(recv(client), 5)


async def test_a_connection_that_cannot_even_be_reset_ends_no_turn(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await world.pair(), await world.pair()
    flow = next(f for f in world.account.flows if f.client.getpeername() == one[0].getsockname())  # type: ignore[attr-defined]

    tried = asyncio.Event()

    def broken(*_: Any) -> None:
        tried.set()
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(type(flow), "abort", broken)
        patch.setattr(type(flow.meter), "moved_down", broken)
        await send(one[1], b"x")
        await tried.wait()
    await send(other[1], b"fine")
    assert await asyncio.wait_for(exactly(other[0], 4), 10) == b"fine"


async def test_a_cut_that_fails_for_one_connection_reaches_the_others(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [await world.pair() for _ in range(3)]
    first = next(iter(world.account.flows))
    abort = type(first).abort

    def broken(flow: Any) -> None:
        if flow is first:
            raise RuntimeError("broken")
        abort(flow)

    monkeypatch.setattr(type(first), "abort", broken)
    world.relay.cut("127.0.0.1")
    assert world.account.flows == {first}
    monkeypatch.undo()
    for client, server in pairs:
        client.close()
        server.close()


async def test_a_deadline_that_fails_stops_no_others(world: RelayWorld) -> None:
    class Broken(Thing):
        def expire(self, now: float) -> None:
            raise RuntimeError("broken")

    queue, things = world.relay.engine.deadlines(5), [Broken(), Thing()]
    for thing in things:
        queue.enter(thing, world.clock.now)
    await world.pass_time(6)
    await world.pass_time(1)
    assert things[1].expired


async def test_what_was_told_while_a_turn_took_long_is_not_lost() -> None:
    engine, pairs = Engine(asyncio.get_running_loop(), time.monotonic), list[Any]()
    told = list[int]()

    class Slow:
        def event(self, fd: int, mask: int) -> None:
            told.append(fd)
            time.sleep(2 * TURN_S)
            if len(pairs) < 4:
                ready()

        def abort(self) -> None: ...

    def ready() -> None:
        one, other = socket.socketpair()
        pairs.append((one, other))
        other.send(b"!")
        engine.watch(one.fileno(), Slow(), READ)

    ready()
    await until(lambda: len(told) == 4)
    for one, other in pairs:
        engine.forget(one.fileno())
        one.close()
        other.close()
    engine.close()
