"""What the flows of one device share: the wait for a grant, and the rate.

Rules
1. One future for all flows that wait; they go on together when it is done, and each finds out for
   itself whether something is left.
2. When there is none to be had, all that wait are told; what was open was cut by the desk.
3. An error in asking is no grant.
"""

import asyncio
from typing import Protocol

from tripgate.core.lease import Budget
from tripgate.core.meter import WireState
from tripgate.proxy.account import FREE, Account, Metered
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.relay.engine import Engine, Turn
from tripgate.proxy.relay.throttle import Throttle

AHEAD = 16 * 1024
"""The receive buffer of a throttled flow: the kernel doubles it, and never offers a window beyond
that, so the uplink is at most 32 KiB ahead of what was delivered."""


class Waiting(Turn, Protocol):
    """A way, or a connection that is not open yet."""

    def refused(self) -> None: ...


class Flow(Metered, Protocol):
    """A flow of the relay."""

    asked_window: int | None


class Purse:
    """An account as its flows use it."""

    __slots__ = ("_rate", "_task", "_throttle", "_waiting", "account", "desk", "engine")

    def __init__(self, desk: LeaseDesk, account: Account, engine: Engine) -> None:
        self.desk = desk
        self.account = account
        self.engine = engine
        self._waiting: dict[Waiting, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._throttle: Throttle | None = None
        self._rate: int | None = None

    # -- flows ------------------------------------------------------------------------------

    def join(self, flow: Flow) -> None:
        """One more; its receive window is set when there is reason to hold it."""
        self.account.join(flow)
        if self.account.rate is not None and flow.asked_window is None:
            flow.window(FREE)

    def end(self, flow: Flow, last: WireState | None) -> None:
        """One less."""
        self.account.end(flow, last)

    def window(self, volume: int) -> int:
        """``volume``, or less while the device is throttled."""
        return volume if self.account.rate is None else min(volume, AHEAD)

    # -- the rate ---------------------------------------------------------------------------

    def room(self, turn: Turn, want: int) -> int:
        """How much of ``want`` the rate lets through now; 0: it is called again."""
        if self.account.rate != self._rate:
            self._follow_rate()
        return want if self._throttle is None else self._throttle.room(turn, want)

    def _follow_rate(self) -> None:
        rate = self._rate = self.account.rate
        if self._throttle is not None:
            self._throttle.close()
        self._throttle = Throttle(self.engine, rate / 8) if rate is not None else None
        for flow in self.account.flows:
            flow.window(FREE)
        self.account.hold_windows()

    def throttled(self, turn: Turn) -> bool:
        """It waits for the rate, not for a grant."""
        return self._throttle is not None and turn in self._throttle

    # -- the budget -------------------------------------------------------------------------

    def budget(self) -> Budget:
        """What flows may take from now."""
        return self.account.budget

    def taken(self, payload: int = 0) -> None:
        """Bytes were charged and are about to move: keep the count, ask ahead when it is time."""
        if self._throttle is not None:
            self._throttle.took(payload)
        account = self.account
        account.moved()
        if account.budget.low:
            self.desk.low(account)

    def wait(self, waiting: Waiting) -> None:
        """Go on after the next grant."""
        self._waiting[waiting] = None
        if self._task is None:
            self._task = self.engine.loop.create_task(self._ask())

    def leave(self, waiting: Waiting) -> None:
        """It is over: no grant matters to it."""
        self._waiting.pop(waiting, None)
        if self._throttle is not None:
            self._throttle.leave(waiting)

    async def _ask(self) -> None:
        granted = False
        try:
            granted = await self.desk.more(self.account)
        except Exception as error:
            self.engine.quiet.warning("a grant failed: %r", error)
        finally:
            self._task = None
            self._go_on(granted)

    def _go_on(self, granted: bool) -> None:
        waiting, self._waiting = self._waiting, {}
        for one in waiting:
            if granted:
                self.engine.again(one)
            else:
                one.refused()
