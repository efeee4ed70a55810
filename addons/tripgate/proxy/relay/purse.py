"""What the flows of one device share: the wait for a grant.

Rules
1. One future for all flows that wait; they go on together when it is done, and each finds out for
   itself whether something is left.
2. When there is none to be had, all that wait are told; what was open was cut by the desk.
3. An error in asking is no grant.
"""

import asyncio
from typing import Protocol

from tripgate.core.meter import WireState
from tripgate.proxy.account import Account, Metered
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.relay.engine import Engine, Turn


class Waiting(Turn, Protocol):
    """A way, or a connection that is not open yet."""

    def refused(self) -> None: ...


class Flow(Metered, Protocol):
    """A flow of the relay."""

    asked_window: int | None


class Purse:
    """An account as its flows use it."""

    __slots__ = ("_task", "_waiting", "account", "desk", "engine")

    def __init__(self, desk: LeaseDesk, account: Account, engine: Engine) -> None:
        self.desk = desk
        self.account = account
        self.engine = engine
        self._waiting: dict[Waiting, None] = {}
        self._task: asyncio.Task[None] | None = None

    # -- flows ------------------------------------------------------------------------------

    def join(self, flow: Flow) -> None:
        """One more; its receive window is set when there is reason to hold it."""
        self.account.join(flow)

    def end(self, flow: Flow, last: WireState | None) -> None:
        """One less."""
        self.account.end(flow, last)

    # -- the budget -------------------------------------------------------------------------

    def taken(self) -> None:
        """Bytes were charged and are about to move: keep the count, ask ahead when it is time."""
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
