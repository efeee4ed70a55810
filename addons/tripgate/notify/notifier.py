"""Tells the owner: what holds and was not told goes to every channel, once.

Rules
1. An event is in the book as told before anybody is told, like the warnings of caps: a restart
   repeats nothing. A lost race for the book is an event for the next look.
2. The ledger's own outage cannot be kept in the ledger: it is told by the process that saw it, once
   it has lasted ``OUTAGE_S``, and so is its end.
3. Nothing waits for a message: each is sent by a thread, one for each channel at a time. Queues are
   bounded (:mod:`tripgate.core.outbox`), and a failure is logged once in ``LOG_EVERY_S``.
4. What is sent is charged where no kernel counts it (``charge``): to the gateway, and so the plan.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from tripgate.core import event, limits, messages
from tripgate.core.drain import Drain
from tripgate.core.event import Event, Outlook
from tripgate.core.messages import Channel
from tripgate.core.model import PLAN, Period, Target
from tripgate.core.outbox import Outbox
from tripgate.ending import end_all
from tripgate.ledger.protocol import Edit, LedgerDown
from tripgate.notify.address import Address, AddressError, parse
from tripgate.notify.nobodys import Nobodys
from tripgate.notify.send import SendError, Traffic, post
from tripgate.proxy.desk import LeaseDesk

EVERY_S = 1.0
LOOK_S = 10.0
OUTAGE_S = 15.0
LOG_EVERY_S = 60.0

log = logging.getLogger("tripgate.notify")

Send = Callable[[Address, tuple[Event, ...], int], Traffic]


class Notifier:
    """``url`` finds a channel's secret; ``drains``: those of the last hours; ``uplink``: bytes of
    all and of nobody since the start; ``charge``: takes what a message cost, by its server."""

    def __init__(
        self,
        desk: LeaseDesk,
        url: Callable[[Channel], str | None],
        drains: Callable[[], Sequence[Drain]] = tuple,
        uplink: Callable[[], tuple[int, int]] | None = None,
        charge: Callable[[str, Traffic], None] | None = None,
        send: Send = post,
    ) -> None:
        self._desk = desk
        self._url = url
        self._drains = drains
        self._charge = charge
        self._send = send
        self._nobodys = Nobodys(uplink) if uplink else None
        self._boxes: dict[str, Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_at = 0.0
        self._down_since: float | None = None
        self._down_told = False
        self._logged_at = -LOG_EVERY_S

    async def run(self) -> None:
        """Look and send until cancelled."""
        try:
            while True:
                await self.turn()
                await asyncio.sleep(EVERY_S)
        finally:
            await end_all(self._tasks)

    async def turn(self) -> None:
        """Look again if it is time; send what is due."""
        now = self._desk.clock.monotonic()
        channels = {one.key: one for one in self._desk.book.messages.channels}
        self._boxes = {key: self._boxes.get(key) or Outbox() for key in channels}
        if self._nobodys:
            self._nobodys.look(now)
        for found in self._outage(now):
            self._put([found], now)
        if channels and self._desk.stats.ledger_up and now >= self._look_at:
            self._look_at = now + LOOK_S
            with contextlib.suppress(LedgerDown):  # the settlement loop finds out and says so
                self._put(await self._fresh(), now)
        for key, box in self._boxes.items():
            if due := box.take(now):
                self._spawn(channels[key], box, due)

    def _put(self, found: Sequence[Event], now: float) -> None:
        for box in self._boxes.values():
            for one in found:
                box.put(one, now)

    # -- what to tell -----------------------------------------------------------------------

    def _outage(self, now: float) -> Sequence[Event]:
        """Rule 2."""
        if self._desk.stats.ledger_up:
            told, self._down_since, self._down_told = self._down_told, None, False
            return [Event("", "ledger", "the ledger answers again")] if told else ()
        self._down_since = now if self._down_since is None else self._down_since
        if self._down_told or now - self._down_since < OUTAGE_S:
            return ()
        self._down_told = True
        text = "the ledger does not answer, no device gets data: tripgate doctor"
        return [Event("", "ledger", text)]

    async def _fresh(self) -> Sequence[Event]:
        """Rule 1. May raise ``LedgerDown``."""
        desk, book, version = self._desk, self._desk.book, self._desk.version
        found = event.holding(await self._outlook())
        known = {one.key for one in book.messages.told}
        fresh = [one for one in found if one.key not in known]
        if not fresh or desk.version != version:
            return ()
        at = int(desk.clock.wall())
        keys, holds = {one.key for one in fresh}, {one.key for one in found}
        told = messages.tell(book.messages, keys, holds, at)
        edit = Edit("gateway", "message", "; ".join(one.text for one in fresh), at)
        won = await desk.stores.registry.replace(version, replace(book, messages=told), edit)
        await desk.reload()
        return fresh if won else ()

    async def _outlook(self) -> Outlook:
        desk, book = self._desk, self._desk.book
        targets: set[Target] = {cap.target for cap in book.caps.values()}
        asked = [*{*targets, PLAN}, *limits.tallied(book)]
        tallies = await desk.stores.ledger.tallies(asked)
        trusted = desk.clock.trusted()
        volume = book.plan.volume if book.plan else None
        given = limits.credit(book, PLAN, book.plan.counted_from) if book.plan else 0
        counter = tallies.counters.get((PLAN, Period.TRIP))
        return Outlook(
            book,
            limits.cap_states(book, tallies.counters, desk.starts, trusted=trusted),
            desk.starts,
            int(desk.clock.wall()),
            trusted,
            limits.current(counter, desk.starts[Period.TRIP], trusted=trusted).used,
            None if volume is None else max(0, volume + given),
            self._drains(),
            self._nobodys.alarm if self._nobodys else 0,
        )

    # -- telling ----------------------------------------------------------------------------

    def _spawn(self, channel: Channel, box: Outbox, due: tuple[Event, ...]) -> None:
        task = asyncio.ensure_future(self._tell(channel, box, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, channel: Channel, box: Outbox, due: tuple[Event, ...]) -> None:
        clock = self._desk.clock
        try:
            address = self._address(channel)
            at = int(clock.wall())
            moved = await off_the_loop(lambda: self._send(address, due, at))
        except SendError as error:
            self._charged(channel, error.traffic)
            self._complain(channel, str(error))
            if error.final:
                box.done(due, clock.monotonic())
            else:
                box.failed(clock.monotonic())
        except Exception as error:  # its text may hold the URL
            self._complain(channel, type(error).__name__)
            box.failed(clock.monotonic())
        else:
            self._charged(channel, moved)
            box.done(due, clock.monotonic())
        finally:
            box.busy = False

    def _address(self, channel: Channel) -> Address:
        url = self._url(channel)
        if url is None:
            raise SendError("its URL is not in the state folder: remove it and add it again")
        try:
            return parse(url)
        except AddressError as error:
            raise SendError(str(error), final=True) from None

    def _charged(self, channel: Channel, moved: Traffic) -> None:
        if self._charge and (moved.up or moved.down):
            self._charge(channel.where, moved)

    def _complain(self, channel: Channel, error: str) -> None:
        """Rule 3."""
        now = self._desk.clock.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            log.warning("no message to %s (%s): %s", channel.id, channel.where, error)


async def off_the_loop(work: Callable[[], Traffic]) -> Traffic:
    """What ``work`` returns or raises, from a thread that no end of the program waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Traffic] = loop.create_future()

    def finish(result: Traffic | None, error: Exception | None) -> None:
        if not done.done():
            if error is not None:
                done.set_exception(error)
            elif result is not None:
                done.set_result(result)

    def body() -> None:
        result: Traffic | None = None
        problem: Exception | None = None
        try:
            result = work()
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, result, problem)

    threading.Thread(target=body, name="message", daemon=True).start()
    return await done
