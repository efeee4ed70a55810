"""The notifier on the memory ledger and a real HTTP server: once, bounded, without a word of the
secret, and never in the way."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.notify.receiver import Receiver, receiver
from tests.proxy.desk_world import World
from tripgate.core import book
from tripgate.core.book import Book
from tripgate.core.event import Event
from tripgate.core.messages import Channel, add_channel, remove_channel
from tripgate.core.model import GATEWAY, PLAN, Period
from tripgate.core.outbox import FIRST_S, GATHER_S, MOST, PAUSE_S
from tripgate.ledger.protocol import LedgerDown
from tripgate.notify import own
from tripgate.notify.address import Address
from tripgate.notify.notifier import LOOK_S, OUTAGE_S, Notifier
from tripgate.notify.send import SendError, Traffic

MB = 1_000_000
KEY = "0123456789abcdef"


class Told(World):
    """A world with one channel, to a real server."""

    def __init__(self, server: Receiver) -> None:
        super().__init__()
        self.server = server
        self.notifier = self.made()

    def made(self, **more: object) -> Notifier:
        return Notifier(self.desk, lambda _: self.server.url, **more)  # type: ignore[arg-type]

    async def channel(self, key: str = KEY) -> None:
        one = Channel("", key, "webhook", "http://127.0.0.1/…", 1)
        await self.change(lambda now: replace(now, messages=add_channel(now.messages, one)))

    async def change(self, change: Callable[[Book], Book]) -> None:
        await self.edit(change)

    async def wait_for(self, name: str) -> None:
        """A device that nobody knows comes."""
        entropy = f"{abs(hash(name)) % 0xFFFFFFFF:08x}"
        await self.edit(
            lambda now: book.add_device(now, f"ip:{name}", 5, entropy=entropy, name=name)[0]
        )

    async def pass_time(self, seconds: float, notifier: Notifier | None = None) -> None:
        """So long, looking in between; what is under way then ends."""
        one = notifier or self.notifier
        steps = max(1, round(seconds))
        for _ in range(steps):
            self.clock.now += seconds / steps
            await one.turn()
            await asyncio.gather(*one._tasks)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Told]:
    with receiver() as server:
        made = Told(server)
        await made.open(tmp_path)
        await made.channel()
        yield made
        await made.journal.aclose()


async def test_a_device_that_waits_is_told(world: Told) -> None:
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 2)
    assert world.server.texts == ["guest waits: tripgate device approve guest"]


async def test_once(world: Told) -> None:
    await world.wait_for("guest")
    await world.pass_time(4 * LOOK_S + 2 * PAUSE_S)
    assert len(world.server.got) == 1


async def test_a_restart_tells_nothing_again(world: Told) -> None:
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 2)
    await world.pass_time(2 * PAUSE_S, world.made())
    assert len(world.server.got) == 1


async def test_what_comes_together_is_one_message(world: Told) -> None:
    await world.wait_for("guest")
    await world.wait_for("other")
    await world.pass_time(GATHER_S + 2)
    (text,) = world.server.texts
    assert len(text.splitlines()) == 2


async def test_a_cap_that_is_used_up_and_the_plan_are_told(world: Told) -> None:
    await world.cap(10 * MB)
    await world.edit(
        lambda now: book.set_plan(now, replace(now.plan or book_plan(), volume=12 * MB))
    )
    await world.move(world.flow(), 10 * MB)
    await world.settler.settle()
    await world.pass_time(GATHER_S + 2)
    (text,) = world.server.texts
    assert "the day cap of device:phone is used up (10 MB)" in text
    assert "80 % of the plan is used, 2 MB left" in text


def book_plan() -> book.Plan:
    return book.Plan()


async def test_a_new_day_tells_again(world: Told) -> None:
    await world.cap(10 * MB)
    for _ in range(2):
        await world.move(world.flow(), 10 * MB)
        await world.settler.settle()
        await world.pass_time(GATHER_S + LOOK_S + PAUSE_S)
        world.clock.now += 86_400
        world.desk.turn()
    assert len(world.server.got) == 2


async def test_without_a_channel_nothing_is_read_or_written(world: Told) -> None:
    await world.change(lambda now: replace(now, messages=remove_channel(now.messages, "n1")))
    await world.wait_for("guest")
    version = world.desk.version
    world.ledger.tallies = None  # type: ignore[assignment]
    await world.pass_time(LOOK_S + 2)
    assert world.desk.version == version


async def test_what_is_told_is_in_the_audit_without_the_secret(world: Told) -> None:
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 2)
    entry = (await world.registry.audit(1))[0]
    assert (entry.actor, entry.action) == ("gateway", "message")
    assert "guest waits" in entry.detail
    assert "SECRET" not in entry.detail


async def test_who_loses_the_race_for_the_book_tells_nothing(
    world: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> bool:
        return False

    await world.wait_for("guest")
    with monkeypatch.context() as patched:
        patched.setattr(world.registry, "replace", lost)
        await world.pass_time(GATHER_S + 2)
    assert world.server.got == []
    await world.pass_time(LOOK_S + GATHER_S)
    assert len(world.server.got) == 1


# -- the ledger --------------------------------------------------------------------------------


async def test_an_outage_is_told_when_it_lasts_and_so_is_its_end(world: Told) -> None:
    world.stats.ledger_up = False
    await world.pass_time(OUTAGE_S + GATHER_S + 2)
    assert "the ledger does not answer" in world.server.texts[0]
    world.stats.ledger_up = True
    await world.pass_time(PAUSE_S + GATHER_S)
    assert world.server.texts[1:] == ["the ledger answers again"]


async def test_a_short_outage_is_not_told(world: Told) -> None:
    world.stats.ledger_up = False
    await world.pass_time(OUTAGE_S - 2)
    world.stats.ledger_up = True
    await world.pass_time(PAUSE_S)
    assert world.server.got == []


async def test_a_ledger_that_fails_in_between_stops_nothing(world: Told) -> None:
    async def away(*_: object) -> None:
        raise LedgerDown("away")

    world.ledger.tallies = away  # type: ignore[assignment,method-assign]
    await world.pass_time(LOOK_S)


# -- trouble -----------------------------------------------------------------------------------


async def test_a_failure_is_tried_again_and_arrives_once(world: Told) -> None:
    world.server.answers[:] = [503, 429]
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 3 * FIRST_S + 5)
    assert len(world.server.got) == 3
    await world.pass_time(PAUSE_S + 10)
    assert len(world.server.got) == 3


async def test_a_refusal_is_final(world: Told) -> None:
    world.server.answers[:] = [403]
    await world.wait_for("guest")
    await world.pass_time(200)
    assert len(world.server.got) == 1


async def test_the_log_says_it_once_a_minute_without_the_secret(
    world: Told, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.answers[:] = [503] * 50
    await world.wait_for("guest")
    with caplog.at_level(logging.WARNING):
        await world.pass_time(59)
        assert len(caplog.records) == 1
        await world.pass_time(60)
    assert len(caplog.records) == 2
    assert "n1 (http://127.0.0.1/…): 127.0.0.1 answered 503" in caplog.text
    assert "SECRET" not in caplog.text


async def test_what_nobody_expected_is_a_failure_and_tells_no_secret(
    world: Told, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def broken(*_: object) -> Traffic:
        calls.append(1)
        raise RuntimeError("http://127.0.0.1/SECRET")

    notifier = world.made(send=broken)
    await world.wait_for("guest")
    with caplog.at_level(logging.WARNING):
        await world.pass_time(GATHER_S + FIRST_S + 3, notifier)
    assert len(calls) == 2
    assert "SECRET" not in caplog.text
    assert "RuntimeError" in caplog.text


async def test_a_channel_whose_url_is_gone_says_what_to_do(
    world: Told, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(world.desk, lambda _: None)
    await world.wait_for("guest")
    with caplog.at_level(logging.WARNING):
        await world.pass_time(GATHER_S + 2, notifier)
    assert "remove it and add it again" in caplog.text


async def test_a_slow_server_holds_up_neither_the_loop_nor_another_channel(world: Told) -> None:
    stuck = threading.Event()
    heard: list[str] = []

    def send(address: Address, events: tuple[Event, ...], at: int) -> Traffic:
        heard.append(address.path)
        if address.path == "/slow":
            stuck.wait(20)
        return Traffic()

    await world.channel("fedcba9876543210")
    urls = {KEY: "http://127.0.0.1/slow", "fedcba9876543210": "http://127.0.0.1/quick"}
    notifier = Notifier(world.desk, lambda one: urls[one.key], send=send)
    await world.wait_for("guest")

    async def quick(times: int) -> None:
        while heard.count("/quick") < times:
            world.clock.now += 1
            await notifier.turn()
            await asyncio.sleep(0.001)

    async with asyncio.timeout(20):
        await quick(1)
        await world.wait_for("other")
        await quick(2)
    assert heard.count("/slow") == 1
    stuck.set()
    await asyncio.gather(*notifier._tasks)


async def test_a_queue_is_bounded(world: Told) -> None:
    def away(*_: object) -> Traffic:
        raise SendError("away")

    notifier = world.made(send=away)
    for number in range(MOST + 20):
        await world.wait_for(f"guest-{number}")
    await world.pass_time(LOOK_S, notifier)
    assert [len(box) for box in notifier._boxes.values()] == [MOST]


# -- whose bytes -------------------------------------------------------------------------------


async def test_in_explicit_mode_a_message_is_the_gateways_own_and_the_plan_pays(
    world: Told,
) -> None:
    notifier = world.made(charge=lambda _, moved: own.charge(world.desk, moved))
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 2, notifier)
    await world.settler.settle()
    moved = world.stats.own
    assert moved["up"] > 300 and moved["down"] > 50
    used = (await world.ledger.tallies([PLAN])).counters[PLAN, Period.TRIP].used
    assert used == moved["up"] + moved["down"]
    (hosts,) = await world.ledger.buckets([f"use:{GATEWAY}:hosts:{world.desk.starts[Period.DAY]}"])
    assert hosts == {"(messages)|u": moved["up"], "(messages)|d": moved["down"]}


async def test_a_failure_costs_too(world: Told) -> None:
    notifier = world.made(charge=lambda _, moved: own.charge(world.desk, moved))
    world.server.answers[:] = [403]
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 2, notifier)
    assert world.stats.own["up"] > 300


async def test_where_the_kernel_counts_nothing_is_charged(world: Told) -> None:
    await world.wait_for("guest")
    await world.pass_time(GATHER_S + 2)
    assert world.server.got
    assert GATEWAY not in world.desk.accounts
