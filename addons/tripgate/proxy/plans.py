"""Keeps the row of plans going: first use begins one, an end brings the next.

Each change is a compare-and-set of the book, audited like any other. Who loses the race reads the
book again with the next turn of the loop and finds it done.
"""

from collections.abc import Callable

from tripgate.core import planbook
from tripgate.core.book import Book
from tripgate.core.limits import credit
from tripgate.core.model import Period, Target
from tripgate.ledger.protocol import Edit
from tripgate.proxy.desk import LeaseDesk


class PlanKeeper:
    """Follows the plan of the desk's book. Every method may raise ``LedgerDown``."""

    def __init__(self, desk: LeaseDesk) -> None:
        self._desk = desk

    async def first_use(self) -> None:
        """A flow was let through; where a plan does not pay it is no use of that plan."""
        desk, pays = self._desk, self._desk.judge.pays
        if pays and planbook.waits_for_use(desk.book, pays) and desk.clock.trusted():
            await self._edit("plan first use", planbook.first_use, pays)

    async def turn(self) -> None:
        """Begin a plan that was waiting for bytes; let the next take over where one is over."""
        if any(one.budget.taken for one in self._desk.accounts.values()):
            await self.first_use()
        for target in planbook.in_force(self._desk.book):
            now, used_up = int(self._desk.clock.wall()), self._used_up(target)
            over = planbook.over(self._desk.book, now, target, used_up=used_up)
            if over and self._desk.clock.trusted():
                await self._edit("plan next", planbook.succeed, target)

    def _used_up(self, target: Target) -> bool:
        """A grant was refused by the volume of the present plan (and not by a cap beside it)."""
        plan = planbook.in_force(self._desk.book).get(target)
        if plan is None or plan.volume is None:
            return False
        volume = plan.volume + credit(self._desk.book, target, plan.counted_from)
        refusals = (account.refusal for account in self._desk.accounts.values())
        limits = [refusal.limit for refusal in refusals if refusal and refusal.limit]
        place = (target, Period.TRIP, plan.counted_from, volume)
        return any(place == (one.target, one.period, one.start, one.limit) for one in limits)

    async def _edit(
        self, action: str, change: Callable[[Book, int, Target], Book], target: Target
    ) -> None:
        desk, now = self._desk, int(self._desk.clock.wall())
        edit = Edit("gateway", action, target.key, now)
        await desk.stores.registry.replace(desk.version, change(desk.book, now, target), edit)
        await desk.reload()
