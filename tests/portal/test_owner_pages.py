"""What an owner's device may do with others, and who may not."""

import pytest

from tests.portal.browsing import ORIGIN, post, token
from tests.portal.worlds import PHONE, PortalWorld
from tripgate.core.book import add_person, block_device
from tripgate.core.model import Device, DeviceState
from tripgate.ledger.protocol import Edit

GUEST = "10.0.0.7"


async def two(world: PortalWorld, state: DeviceState = DeviceState.PENDING) -> Device:
    """The owner's phone, and a guest in ``state``: the guest."""
    await world.device("phone", owner=True)
    return await world.device("guest", GUEST, state)


async def change(
    world: PortalWorld, device: Device, action: str, address: str = PHONE, **fields: str
) -> tuple[int, str]:
    async with world.visit(address) as browser:
        path = f"/devices/{device.id}/{action}"
        got = await post(browser, path, "/devices", **fields)
    return got.status_code, got.text


async def test_an_owner_sees_all_devices_waiting_ones_first(world: PortalWorld) -> None:
    await world.device("aa-laptop", "10.0.0.8")
    await two(world)
    async with world.visit() as browser:
        text = (await browser.get("/devices")).text
    assert text.index(">guest<") < text.index(">aa-laptop<") < text.index(">phone<")


async def test_an_owner_lets_a_device_in(world: PortalWorld) -> None:
    guest = await two(world)
    assert (await change(world, guest, "approve"))[0] == 303
    assert world.book.devices[guest.id].state is DeviceState.APPROVED


async def test_an_owner_blocks_a_device(world: PortalWorld) -> None:
    guest = await two(world, DeviceState.APPROVED)
    assert (await change(world, guest, "block"))[0] == 303
    assert world.book.devices[guest.id].state is DeviceState.BLOCKED


async def test_an_owner_renames_a_device(world: PortalWorld) -> None:
    guest = await two(world)
    assert (await change(world, guest, "name", name=" Bens-Phone "))[0] == 303
    assert world.book.devices[guest.id].name == "bens-phone"


@pytest.mark.parametrize("name", ["", "phone", "a b", "<b>", "x" * 33, "é"])
async def test_a_name_that_cannot_be_used_is_told(world: PortalWorld, name: str) -> None:
    guest = await two(world)
    status, text = await change(world, guest, "name", name=name)
    assert status == 409
    assert "This name cannot be used" in text
    assert world.book.devices[guest.id].name == "guest"


async def test_every_change_is_audited_by_the_device_that_asked(world: PortalWorld) -> None:
    guest = await two(world)
    await change(world, guest, "approve")
    entry = (await world.registry.audit())[0]
    assert (entry.actor, entry.action, entry.detail) == ("portal:phone", "device approve", "guest")


async def test_an_owner_does_not_block_the_device_at_hand(world: PortalWorld) -> None:
    await two(world)
    phone = next(one for one in world.book.devices.values() if one.owner)
    assert (await change(world, phone, "block"))[0] == 403
    assert world.book.devices[phone.id].state is DeviceState.APPROVED


async def test_a_device_that_is_not_the_owners_sees_no_list(world: PortalWorld) -> None:
    await two(world, DeviceState.APPROVED)
    async with world.visit(GUEST) as browser:
        got = await browser.get("/devices")
    assert got.status_code == 403
    assert "phone" not in got.text


@pytest.mark.parametrize("action", ["approve", "block", "name"])
async def test_a_device_that_is_not_the_owners_changes_nothing(
    world: PortalWorld, action: str
) -> None:
    guest = await two(world)
    before = world.book
    async with world.visit(GUEST) as browser:
        path = f"/devices/{guest.id}/{action}"
        got = await post(browser, path, name="new")  # its own token, of its own page
    assert got.status_code == 403
    assert world.book == before


async def test_the_ledger_is_not_asked_for_a_device_that_is_not_the_owners(
    world: PortalWorld,
) -> None:
    guest = await two(world)
    async with world.visit(GUEST) as browser:
        known = await token(browser)
        world.store.down = "the ledger is away"
        got = await post(browser, f"/devices/{guest.id}/approve", token=known)
    assert got.status_code == 403


async def test_a_blocked_owner_changes_nothing(world: PortalWorld) -> None:
    guest = await two(world)
    async with world.visit() as browser:
        known = await token(browser, "/devices")
        await world.edit(lambda book: block_device(book, "phone"))
        got = await post(browser, f"/devices/{guest.id}/approve", token=known)
    assert got.status_code == 403
    assert world.book.devices[guest.id].state is DeviceState.PENDING


async def test_an_owner_who_was_blocked_a_moment_ago_changes_nothing(world: PortalWorld) -> None:
    """The gateway has not followed the book yet; the change is judged by the newest one."""
    guest = await two(world)
    async with world.visit() as browser:
        known = await token(browser, "/devices")
        version, book = await world.registry.load()
        assert await world.registry.replace(version, block_device(book, "phone"), Edit("t", "t"))
        got = await post(browser, f"/devices/{guest.id}/approve", token=known)
    assert got.status_code == 403
    assert (await world.registry.load())[1].devices[guest.id].state is DeviceState.PENDING


@pytest.mark.parametrize("action", ["forget", "owner", "__class__"])
async def test_there_is_no_other_action(world: PortalWorld, action: str) -> None:
    guest = await two(world)
    assert (await change(world, guest, action))[0] == 404


async def test_a_device_that_is_gone_is_told(world: PortalWorld) -> None:
    guest = await two(world)
    gone = Device("dev-zzzz", "gone", DeviceState.PENDING)
    assert guest.id != gone.id
    assert (await change(world, gone, "approve"))[0] == 409


async def test_a_page_elsewhere_changes_nothing(world: PortalWorld) -> None:
    guest = await two(world)
    async with world.visit() as browser:
        known = await token(browser, "/devices")
        for headers in ({}, {"Origin": "http://evil.example"}):
            path = f"/devices/{guest.id}/approve"
            got = await browser.post(path, data={"token": known}, headers=headers)
            assert got.status_code == 403
        got = await browser.post(path, data={"name": "x"}, headers={"Origin": ORIGIN})
        assert got.status_code == 403
    assert world.book.devices[guest.id].state is DeviceState.PENDING


async def test_nothing_is_changed_by_opening_an_address(world: PortalWorld) -> None:
    guest = await two(world)
    async with world.visit() as browser:
        got = await browser.get(f"/devices/{guest.id}/approve")
    assert got.status_code == 405
    assert world.book.devices[guest.id].state is DeviceState.PENDING


async def test_edits_of_others_are_kept(world: PortalWorld) -> None:
    guest = await two(world)
    version, book = await world.registry.load()
    assert await world.registry.replace(version, add_person(book, "ben"), Edit("cli", "person"))
    assert (await change(world, guest, "approve"))[0] == 303
    assert "ben" in world.book.people


async def test_a_race_that_is_lost_each_time_is_told(
    world: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = await two(world)

    async def slower(*_: object) -> bool:
        return False

    monkeypatch.setattr(world.registry, "replace", slower)
    status, text = await change(world, guest, "approve")
    assert status == 409
    assert "Somebody else changed the settings" in text


async def test_without_a_ledger_a_change_is_refused(world: PortalWorld) -> None:
    guest = await two(world)
    async with world.visit() as browser:
        known = await token(browser, "/devices")
        world.store.down = "the ledger is away"
        got = await post(browser, f"/devices/{guest.id}/approve", token=known)
    assert got.status_code == 503
