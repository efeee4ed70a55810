"""What a device reads about itself."""

import re
from dataclasses import replace

import pytest

from tests.portal.worlds import GB, MB, NOW, PHONE, PortalWorld
from tripgate.core.book import Book, forget_device, set_cap
from tripgate.core.model import (
    PLAN,
    Cap,
    Device,
    DeviceState,
    Period,
    Person,
    Plan,
    device_target,
    person_target,
)
from tripgate.core.planbook import plan_target, put
from tripgate.portal.words import LANGUAGES, load

HOSTILE = '"><script>alert(1)</script>'


async def page(world: PortalWorld, language: str = "en", address: str = PHONE) -> str:
    async with world.visit(address, language=language) as browser:
        got = await browser.get("/")
    assert got.status_code == 200
    return got.text.replace("\u00a0", " ")


async def phone(world: PortalWorld) -> Device:
    """A phone of anna's with a cap of 500 MB a day, 423 MB of it used."""
    await world.plan(volume=10 * GB, valid_s=30 * 86_400, starts_at=NOW - 86_400, tz="Asia/Tokyo")
    device = await world.device("annas-phone", person="anna")
    await world.cap(device_target(device.id), Period.DAY, 500 * MB)
    await world.used(device, "YouTube", 300 * MB)
    await world.used(device, "unknown", 123 * MB)
    return device


async def test_a_device_reads_its_name_and_whose_it_is(world: PortalWorld) -> None:
    await phone(world)
    text = await page(world)
    assert "<h1>annas-phone</h1>" in text
    assert "anna</p>" in text


async def test_a_device_reads_todays_use_and_the_trips(world: PortalWorld) -> None:
    await phone(world)
    assert re.findall(r"<b>(423 MB)</b>", await page(world)) == ["423 MB", "423 MB"]


async def test_a_cap_has_a_bar_and_says_what_is_left_and_when_it_resets(
    world: PortalWorld,
) -> None:
    await phone(world)
    text = await page(world)
    assert '<progress class="near" max="100" value="85"' in text
    assert "<b>77 MB left</b>" in text
    assert "500 MB per day" in text
    assert "Starts again Tue 25 Nov, 00:00" in text  # in Tokyo
    assert "Times are in the zone Asia/Tokyo." in text


async def test_the_plan_is_a_limit_with_what_remains(world: PortalWorld) -> None:
    await phone(world)
    text = await page(world)
    assert "<b>9.58 GB left</b>" in text
    assert "10 GB for the trip" in text
    assert "Ends Tue 23 Dec, 23:00" in text


async def test_the_ring_shows_the_limit_that_leaves_least(world: PortalWorld) -> None:
    await phone(world)
    await world.cap(PLAN, Period.WEEK, 430 * MB)
    text = await page(world)
    assert 'aria-label="Everyone together, 430 MB per week: 7 MB left"' in text


async def test_a_persons_cap_is_shown_on_her_devices(world: PortalWorld) -> None:
    await phone(world)
    await world.cap(person_target("anna"), Period.MONTH, GB)
    assert "All devices of anna" in await page(world)


async def test_the_limits_of_others_are_not_shown(world: PortalWorld) -> None:
    await phone(world)
    other = await world.device("bens-laptop", "10.0.0.3", person="ben")
    await world.cap(device_target(other.id), Period.DAY, 777 * MB)
    text = await page(world)
    assert "ben" not in text
    assert "777" not in text


async def test_services_of_today_are_listed_largest_first(world: PortalWorld) -> None:
    device = await phone(world)
    await world.used(device, "WhatsApp", 400 * MB)
    names = re.findall(r'<div class="row"><span>(.*?)</span>', await page(world))
    assert names == ["WhatsApp", "YouTube", "Other"]


async def test_more_services_than_fit_are_summed_up(world: PortalWorld) -> None:
    device = await world.device("phone")
    for number in range(9):
        await world.used(device, f"service {number}", (number + 1) * MB)
    text = await page(world)
    names = re.findall(r'<div class="row"><span>(.*?)</span><span>(.*?)</span>', text)
    assert len(names) == 7
    assert names[-1] == ("Other", "6 MB")


async def test_a_cap_that_is_used_up_says_so(world: PortalWorld) -> None:
    device = await phone(world)
    await world.used(device, "YouTube", 77 * MB)
    text = await page(world)
    assert '<span class="badge reached">Used up</span>' in text
    assert '<progress class="reached" max="100" value="100"' in text


async def test_almost_used_up_is_not_used_up(world: PortalWorld) -> None:
    device = await phone(world)
    await world.used(device, "YouTube", 77 * MB - 1)
    text = await page(world)
    assert 'value="99"' in text
    assert "Used up" not in text


async def test_without_a_limit_the_page_says_so(world: PortalWorld) -> None:
    await world.device("phone")
    text = await page(world)
    assert "No limit is set for this device." in text
    assert "Nothing used today yet." in text


async def test_an_unlimited_plan_shows_when_it_ends(world: PortalWorld) -> None:
    await world.plan(valid_s=86_400, starts_at=NOW)
    await world.device("phone")
    text = await page(world)
    assert "Unlimited" in text
    assert "Ends Tue 25 Nov, 14:00" in text


async def test_the_page_says_what_is_counted(world: PortalWorld) -> None:
    await world.device("phone")
    assert "without TCP/IP headers" in await page(world)


@pytest.mark.parametrize("tag", LANGUAGES)
async def test_the_page_is_in_the_readers_language(world: PortalWorld, tag: str) -> None:
    await phone(world)
    text = await page(world, f"{tag}-XX")
    assert f'<html lang="{tag}">' in text
    assert f"<h2>{load(tag)('services')}</h2>" in text


@pytest.mark.parametrize("tag", LANGUAGES)
async def test_the_waiting_page_is_in_the_readers_language(world: PortalWorld, tag: str) -> None:
    text = await page(world, tag)
    assert f"<h1>{load(tag)('pending_title')}</h1>" in text


async def test_a_new_device_is_entered_and_told_its_id(world: PortalWorld) -> None:
    text = await page(world)
    (device,) = world.book.devices.values()
    assert (device.state, device.identities) == (DeviceState.PENDING, (f"ip:{PHONE}",))
    assert f'<strong class="name">{device.id}</strong>' in text


async def test_a_waiting_device_reads_nothing_of_the_counts(world: PortalWorld) -> None:
    await page(world)
    assert world.asked == 0


async def test_a_blocked_device_is_told_so_and_has_no_form(world: PortalWorld) -> None:
    await world.device("phone", state=DeviceState.BLOCKED)
    text = await page(world)
    assert "This device is blocked" in text
    assert "<form" not in text


async def test_the_waiting_page_comes_again_by_itself_with_and_without_script(
    world: PortalWorld,
) -> None:
    text = await page(world)
    assert '<body data-refresh="5">' in text
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in text


@pytest.mark.parametrize("known", [True, False])
async def test_without_a_ledger_the_page_says_so(world: PortalWorld, known: bool) -> None:
    device = await world.device("phone")
    if not known:
        await world.edit(lambda book: forget_device(book, device.id))
    world.store.down = "the ledger is away"
    text = await page(world)
    assert "The counts cannot be read right now." in text
    assert ("<h1>phone</h1>" in text) == known


async def test_a_device_reads_the_ledger_once_a_second_however_often_it_asks(
    world: PortalWorld,
) -> None:
    await world.device("phone")
    async with world.visit() as browser:
        for _ in range(20):
            await browser.get("/")
        assert world.asked == 1
        world.clock += 1
        await browser.get("/")
    assert world.asked == 2


async def test_hostile_names_are_text(world: PortalWorld) -> None:
    await world.edit(_hostile)  # no edit of ours makes such names
    text = await page(world)
    assert "<script>alert" not in text
    assert text.count("&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def _hostile(book: Book) -> Book:
    device = Device("dev-0001", HOSTILE, DeviceState.APPROVED, HOSTILE, identities=(f"ip:{PHONE}",))
    cap = Cap(person_target(HOSTILE), Period.DAY, 5 * MB)
    return replace(
        book,
        devices={device.id: device},
        people={HOSTILE: Person(HOSTILE)},
        caps={(cap.target, cap.period): cap},
    )


@pytest.mark.parametrize("how", [{"free": (0, 60)}, {"roll": True}], ids=["free hours", "rolls"])
async def test_the_use_of_a_cap_with_a_counter_of_its_own_is_shown(
    world: PortalWorld, how: dict[str, object]
) -> None:
    device = await world.device("annas-phone")
    cap = Cap(device_target(device.id), Period.DAY, 500 * MB, created_at=NOW, **how)  # type: ignore[arg-type]
    await world.edit(lambda book: set_cap(book, cap))
    await world.used(device, "YouTube", 423 * MB)
    assert "<b>77 MB left</b>" in await page(world)


async def test_on_an_uplink_with_a_plan_of_its_own_that_one_is_shown(world: PortalWorld) -> None:
    device = await phone(world)
    await world.edit(lambda book: put(book, plan_target("wlan1"), Plan(volume=2 * GB)))
    assert "2 GB" not in await page(world)
    world.uplink = "wlan1"
    world.clock += 10
    await world.used(device, "YouTube", 500 * MB)
    text = await page(world)
    assert "1.5 GB left" in text
    assert "10 GB" not in text
