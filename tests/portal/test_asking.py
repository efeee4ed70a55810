"""A capped device asks for more, once; the owner's answer is on its page."""

import re

import httpx
import pytest

from tests.portal.worlds import HERE, MB, NOW, PortalWorld
from tripgate.core.allowance import answer
from tripgate.core.book import Book
from tripgate.core.model import PLAN, Device, DeviceState, Period, Warned, device_target
from tripgate.core.model import person_target as person

CAP = 100 * MB
HEADERS = {"Origin": f"http://{HERE}"}


async def capped(world: PortalWorld, used: int = CAP) -> Device:
    device = await world.device("annas-phone", person="anna")
    await world.cap(device_target(device.id), Period.DAY, CAP)
    await world.used(device, "YouTube", used)
    return device


async def page(browser: httpx.AsyncClient) -> str:
    return (await browser.get("/")).text.replace("\u00a0", " ")


async def press(browser: httpx.AsyncClient) -> httpx.Response:
    """The button of the page."""
    text = await page(browser)
    found = re.search(r'action="/ask">\s*<input type="hidden" name="token" value="(\w+)"', text)
    assert found
    return await browser.post("/ask", data={"token": found[1]}, headers=HEADERS)


async def test_a_capped_device_is_offered_to_ask(world: PortalWorld) -> None:
    await capped(world)
    async with world.visit() as browser:
        assert "<button>Ask for 20 MB more</button>" in await page(browser)


async def test_who_went_past_the_limit_asks_for_that_too(world: PortalWorld) -> None:
    await capped(world, CAP + 36 * MB)
    async with world.visit() as browser:
        assert "<button>Ask for 56 MB more</button>" in await page(browser)
        await press(browser)
    assert world.book.requests[0].volume == 56 * MB


@pytest.mark.parametrize("used", [0, CAP // 2])
async def test_a_device_with_something_left_is_not(world: PortalWorld, used: int) -> None:
    await capped(world, used)
    async with world.visit() as browser:
        assert "/ask" not in await page(browser)


async def test_nobody_here_gives_more_of_a_used_up_plan(world: PortalWorld) -> None:
    device = await world.device("annas-phone")
    await world.plan(volume=CAP, starts_at=NOW - 100)
    await world.used(device, "YouTube", CAP)
    async with world.visit() as browser:
        assert "/ask" not in await page(browser)


async def test_what_was_asked_is_in_the_book_for_the_owner(world: PortalWorld) -> None:
    device = await capped(world)
    async with world.visit() as browser:
        assert (await press(browser)).status_code == 303
    (made,) = world.book.requests
    assert (made.target, made.volume, made.answer) == (device_target(device.id), 20 * MB, "")


async def test_more_for_a_person_is_asked_where_the_persons_cap_stops(world: PortalWorld) -> None:
    device = await world.device("annas-phone", person="anna")
    await world.cap(person("anna"), Period.WEEK, CAP)
    await world.used(device, "YouTube", CAP)
    async with world.visit() as browser:
        await press(browser)
    assert world.book.requests[0].target == person("anna")


async def test_who_has_asked_waits(world: PortalWorld) -> None:
    await capped(world)
    async with world.visit() as browser:
        await press(browser)
        text = await page(browser)
    assert "You have asked for 20 MB more. The owner has not answered yet." in text
    assert "/ask" not in text


async def test_asking_again_meanwhile_changes_nothing(world: PortalWorld) -> None:
    await capped(world)
    async with world.visit() as browser:
        found = re.search(r'name="token" value="(\w+)"', await page(browser))
        assert found
        for _ in range(3):
            await browser.post("/ask", data={"token": found[1]}, headers=HEADERS)
    assert [one.action for one in world.store.edits].count("request") == 1


@pytest.mark.parametrize(
    ("yes", "said"), [(True, "20 MB more was granted"), (False, "20 MB more was declined")]
)
async def test_the_answer_is_on_the_page(world: PortalWorld, yes: bool, said: str) -> None:
    await capped(world)
    async with world.visit() as browser:
        await press(browser)
        await world.edit(lambda book: answer(book, "r1", yes, NOW))
        assert said in await page(browser)


async def test_a_form_from_elsewhere_asks_for_nothing(world: PortalWorld) -> None:
    await capped(world)
    async with world.visit() as browser:
        got = await browser.post("/ask", data={"token": "0" * 64}, headers=HEADERS)
    assert (got.status_code, world.book.requests) == (403, ())


async def test_a_device_that_is_not_let_in_cannot_ask(world: PortalWorld) -> None:
    await world.device("stranger", state=DeviceState.PENDING)
    async with world.visit() as browser:
        found = re.search(r'name="token" value="(\w+)"', await page(browser))
        assert found
        got = await browser.post("/ask", data={"token": found[1]}, headers=HEADERS)
    assert (got.status_code, world.book.requests) == (403, ())


# -- warnings ----------------------------------------------------------------------------------


def warned(world: PortalWorld, device: Device, level: int) -> "Book":
    told = Warned(device_target(device.id), Period.DAY, 0, level)
    return Book(**{**vars(world.book), "warned": (told,)})


@pytest.mark.parametrize(
    ("used", "shown"), [(85 * MB, True), (40 * MB, False), (CAP, False)],
    ids=["passed", "of a limit that was raised since", "used up"],
)  # fmt: skip
async def test_a_warning_is_on_the_page(world: PortalWorld, used: int, shown: bool) -> None:
    device = await capped(world, used)
    await world.edit(lambda _: warned(world, device, 80))
    async with world.visit() as browser:
        text = await page(browser)
    assert ("Over 80 % is used: This device, 100 MB per day" in text) == shown


async def test_a_warning_of_another_device_is_not(world: PortalWorld) -> None:
    await capped(world, 85 * MB)
    other = await world.device("other", "10.0.0.3")
    await world.cap(PLAN, Period.DAY, 1000 * MB)
    await world.edit(lambda _: warned(world, other, 80))
    async with world.visit() as browser:
        assert "Over 80" not in await page(browser)


async def test_what_was_given_is_left_on_the_page(world: PortalWorld) -> None:
    await capped(world)
    async with world.visit() as browser:
        await press(browser)
        await world.edit(lambda book: answer(book, "r1", True, NOW))
        world.clock += 2
        text = await page(browser)
    assert "20 MB left" in text
    assert "/ask" not in text
