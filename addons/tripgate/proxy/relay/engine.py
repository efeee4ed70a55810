"""The engine: one epoll inside the event loop, the turns, the deadlines, the closing.

Rules
1. On a :class:`RelayLoop` the engine shares the loop's epoll and is given its events; on another
   loop it has one of its own, which the loop watches: there it takes turn after turn until there
   are no events or ``TURN_S`` has passed, so that others in the loop have their turn too.
2. A handler that raises loses its own connection; the others do not notice, also where its end
   fails, or what it does at its deadline.
3. Descriptors are closed between batches (rule 2 of :mod:`tripgate.proxy.relay`).
"""

import asyncio
import logging
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tripgate.proxy import upstream
from tripgate.proxy.relay.deadlines import Deadlines
from tripgate.proxy.relay.loop import Events, RelayLoop
from tripgate.proxy.relay.pipes import Pipes
from tripgate.proxy.relay.quiet import Quiet
from tripgate.proxy.upstream import Socket

TURN_S = 0.005
TICK_S = 0.1
PAUSE_S = 0.004
"""Between two turns of a busy way; what arrives meanwhile waits in the socket."""

BATCH = 256
BUFFER = 64 * 1024

READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
BOTH = READ | select.EPOLLOUT
RESTING = select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
LISTEN = select.EPOLLIN

log = logging.getLogger("tripgate.relay")


class Handler(Protocol):
    """Who hears of the events of a descriptor."""

    def event(self, fd: int, mask: int) -> None: ...
    def abort(self) -> None: ...


class Turn(Protocol):
    """Something that has more to do than one turn allows."""

    def pump(self) -> None: ...
    def abort(self) -> None: ...


class Engine:
    """``now`` is the time at the beginning of the batch, by ``clock``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.now = clock()
        self.pipes = Pipes()
        self.view = memoryview(bytearray(BUFFER))
        self.quiet = Quiet(log, clock)
        self.loop = loop
        self._shared = loop.shared if isinstance(loop, RelayLoop) else None
        self._epoll = self._shared.epoll if self._shared else select.epoll()
        self._poll = self._epoll.poll
        self._handlers: dict[int, Handler] = {}
        self._queues: list[Deadlines] = []
        self._again: deque[Turn] = deque()
        self._over: list[Socket] = []
        self._resting: list[Turn] = []
        self._pause: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._turning = False
        if self._shared:
            self._shared.turn = self._turn
        else:
            loop.add_reader(self._epoll.fileno(), self._woken)

    def close(self) -> None:
        """End everything with a reset."""
        self.abort(lambda _: True)
        self._close_over()
        if self._shared:
            self._shared.turn = None
        else:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
        for timer in (self._ticking, self._soon, self._pause):
            if timer is not None:
                timer.cancel()
        self.pipes.close()

    # -- descriptors ------------------------------------------------------------------------

    def watch(self, fd: int, handler: Handler, mask: int) -> None:
        """Tell ``handler`` of the events of a descriptor that is not watched yet."""
        self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def rewatch(self, fd: int, mask: int) -> None:
        """Other events from now on; those that have already come are told (again)."""
        self._epoll.modify(fd, mask)

    def hand_over(self, fd: int, handler: Handler) -> None:
        """Another handler from now on."""
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """No more events, though the descriptor stays open."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close_soon(self, sock: Socket, *, reset: bool = False) -> None:
        """No more events; close when the batch is over."""
        self._handlers.pop(sock.fileno(), None)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, upstream.RESET_ON_CLOSE)
        self._over.append(sock)
        self._see_to_it()

    def _close_over(self) -> None:
        while self._over:
            self._over.pop().close()

    def abort(self, chosen: Callable[[Handler], bool]) -> None:
        """End those of the handlers that are chosen."""
        for handler in {one for one in self._handlers.values() if chosen(one)}:
            self._abort(handler)

    # -- turns ------------------------------------------------------------------------------

    def again(self, turn: Turn) -> None:
        """Its pump is called in the next turn."""
        self._again.append(turn)
        self._see_to_it()

    def rest(self, turn: Turn) -> None:
        """Its pump is called after a pause, with all that began to rest meanwhile."""
        self._resting.append(turn)
        if self._pause is None:
            self._pause = self.loop.call_later(PAUSE_S, self._rested)

    def _rested(self) -> None:
        self._pause = None
        self._again.extend(self._resting)
        self._resting.clear()
        self._turn([])

    def _see_to_it(self) -> None:
        """There is something to do: in the present turn, or in one that comes soon."""
        if self._soon is None and not self._turning:
            self._soon = self.loop.call_soon(self._turn_again)

    def _turn_again(self) -> None:
        self._soon = None
        self._turn([])

    def _woken(self) -> None:
        until = self.clock() + TURN_S
        while events := self._poll(0, BATCH):  # what was told once is not told again
            self._turn(events)
            if self.clock() > until:
                break

    def _turn(self, events: Events) -> Events:
        """Work on the events, and on what came meanwhile; returns those that are not ours."""
        self.now = self.clock()
        self._turning = True
        try:
            others = self._batch(events)
            for _ in range(len(self._again)):
                self.give_turn(self._again.popleft())
            if self._over:
                self._close_over()
        finally:
            self._turning = False
            if self._again or self._over:
                self._see_to_it()
        return others

    def _batch(self, events: Events) -> Events:
        handlers, others = self._handlers, []
        for event in events:
            fd, mask = event
            handler = handlers.get(fd)
            if handler is None:
                others.append(event)
                continue
            try:
                handler.event(fd, mask)
            except Exception as error:
                self._failed(handler, error)
        if self._over:
            self._close_over()
        return others

    def give_turn(self, turn: Turn) -> None:
        """Let it pump now."""
        try:
            turn.pump()
        except Exception as error:
            self._failed(turn, error)

    def _failed(self, handler: Handler | Turn, error: Exception) -> None:
        self.quiet.warning("a connection was reset by an error of the relay: %r", error)
        self._abort(handler)

    def _abort(self, handler: Handler | Turn) -> None:
        try:
            handler.abort()
        except Exception as error:
            self.quiet.warning("a connection could not be reset: %r", error)

    # -- deadlines --------------------------------------------------------------------------

    def deadlines(self, patience: float) -> Deadlines:
        """A new queue."""
        queue = Deadlines(patience)
        self._queues.append(queue)
        return queue

    def tick(self) -> None:
        """Something has a deadline now: see to it that time passes."""
        if self._ticking is None:
            self._ticking = self.loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = self.now = self.clock()
        for queue in self._queues:
            try:
                queue.expire(now)
            except Exception as error:  # who comes after it in the queue: with the next tick
                self.quiet.warning("a deadline failed: %r", error)
        self._close_over()
        if any(self._queues):
            self.tick()
