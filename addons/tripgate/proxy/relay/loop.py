"""The event loop of a relay: asyncio's, whose one epoll the relay's engine shares.

Rules
1. What the engine watches is told to it inside ``select``, batch by batch: a wake-up costs neither
   a second epoll nor a round of asyncio's. ``select`` returns when asyncio has something to do: an
   event, the end of its time, or what a turn has scheduled.
2. asyncio's own descriptors are level-triggered, as it expects; nothing of theirs is lost when the
   engine has its turn first.
3. The engine needs this loop nowhere: on any other it has an epoll of its own.
4. A turn that fails is logged: it is inside of the loop, and would end it.
"""

import asyncio
import contextlib
import logging
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import Any, TypeVarTuple

log = logging.getLogger("tripgate.relay")

Ts = TypeVarTuple("Ts")
Events = list[tuple[int, int]]
MOST = 256


class _Keys(Mapping[Any, SelectorKey]):
    """What is registered, by descriptor or by who has one."""

    def __init__(self) -> None:
        self.by_fd: dict[int, SelectorKey] = {}

    def __getitem__(self, fileobj: Any) -> SelectorKey:
        return self.by_fd[_descriptor(fileobj)]

    def __iter__(self) -> Iterator[int]:
        return iter(self.by_fd)

    def __len__(self) -> int:
        return len(self.by_fd)


class SharedSelector(BaseSelector):
    """``turn`` is shown all events and returns those that are not its own; ``stirred``: asyncio has
    something to do since ``select`` was called."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.stirred = False
        self.turn: Callable[[Events], Events] | None = None
        self._keys = _Keys()

    def fileno(self) -> int:
        """The epoll's."""
        return self.epoll.fileno()

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        key = SelectorKey(fileobj, _descriptor(fileobj), events, data)
        if key.fd in self._keys.by_fd:
            raise KeyError(f"{fileobj!r} is registered already")
        self.epoll.register(key.fd, _mask(events))
        self._keys.by_fd[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:
        key = self._keys.by_fd.pop(_descriptor(fileobj))
        with contextlib.suppress(OSError):  # it was closed before
            self.epoll.unregister(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        key = self._keys[fileobj]
        if events != key.events:
            self.epoll.modify(key.fd, _mask(events))
        changed = self._keys.by_fd[key.fd] = key._replace(events=events, data=data)
        return changed

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        left = -1 if timeout is None else max(timeout, 0.0)
        until = time.monotonic() + left
        self.stirred = False
        while events := self.epoll.poll(left, MOST):
            if self.turn is None or (events := self._turned(self.turn, events)) or self.stirred:
                break
            if left >= 0 and (left := until - time.monotonic()) <= 0:
                break
        keys = self._keys.by_fd
        return [(keys[fd], _ready(mask) & keys[fd].events) for fd, mask in events if fd in keys]

    def _turned(self, turn: Callable[[Events], Events], events: Events) -> Events:
        """Rule 4."""
        try:
            return turn(events)
        except Exception:
            log.exception("a turn of the relay failed")
            return events

    def close(self) -> None:
        self.epoll.close()
        self._keys.by_fd.clear()

    def get_map(self) -> Mapping[Any, SelectorKey]:
        return self._keys


class RelayLoop(asyncio.SelectorEventLoop):
    """A loop for a program with a relay in it; ``shared`` is its selector."""

    def __init__(self) -> None:
        self.shared = SharedSelector()
        super().__init__(self.shared)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self.shared.stirred = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self.shared.stirred = True
        return super().call_at(when, callback, *args, context=context)


def _descriptor(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def _mask(events: int) -> int:
    wanted = select.EPOLLIN if events & EVENT_READ else 0
    return wanted | select.EPOLLOUT if events & EVENT_WRITE else wanted


def _ready(mask: int) -> int:
    """Errors and hang-ups are for who reads and for who writes (as in :mod:`selectors`)."""
    read = EVENT_READ if mask & ~select.EPOLLOUT else 0
    return read | EVENT_WRITE if mask & ~select.EPOLLIN else read
