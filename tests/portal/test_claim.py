"""The one-time code at the portal: one device, once, and no guessing."""

import asyncio
import stat
from pathlib import Path

import pytest

from tests.portal.browsing import post
from tests.portal.worlds import PHONE, PortalWorld, make_world
from tripgate.core import claimcode
from tripgate.core.model import DeviceState
from tripgate.portal import claim
from tripgate.portal.claim import DEVICE_TRIES, WAIT_S, ClaimDesk, ClaimError

WRONG = "0000-0000"


@pytest.fixture
def world(tmp_path: Path) -> PortalWorld:
    return make_world(tmp_path)


@pytest.fixture
def code(world: PortalWorld) -> str:
    return claim.ensure(world.folder).code


def owners(world: PortalWorld) -> list[str]:
    return [one.identities[0] for one in world.book.devices.values() if one.owner]


async def enter(world: PortalWorld, typed: str, address: str = PHONE) -> tuple[int, str]:
    async with world.visit(address) as browser:
        got = await post(browser, "/claim", code=typed)
    return got.status_code, got.text


async def test_the_device_that_enters_the_code_is_let_in_as_the_owners(
    world: PortalWorld, code: str
) -> None:
    async with world.visit() as browser:
        got = await post(browser, "/claim", code=code)
        assert (got.status_code, got.headers["location"]) == (303, "/")
        assert "Manage devices" in (await browser.get("/")).text
    (device,) = world.book.devices.values()
    assert (device.state, device.owner) == (DeviceState.APPROVED, True)


async def test_a_claim_is_audited(world: PortalWorld, code: str) -> None:
    await enter(world, code)
    (name,) = (one.name for one in world.book.devices.values())
    entry = (await world.registry.audit())[0]
    assert (entry.actor, entry.action, entry.detail) == (f"portal:{name}", "device claim", name)


async def test_a_code_is_good_once(world: PortalWorld, code: str) -> None:
    await enter(world, code)
    status, text = await enter(world, code, "10.0.0.3")
    assert status == 403
    assert "There is no valid code now." in text
    assert owners(world) == [f"ip:{PHONE}"]


async def test_of_two_devices_at_once_one_gets_it(world: PortalWorld, code: str) -> None:
    async with world.visit() as one, world.visit("10.0.0.3") as other:
        await one.get("/")
        await other.get("/")
        got = await asyncio.gather(post(one, "/claim", code=code), post(other, "/claim", code=code))
    assert sorted(answer.status_code for answer in got) == [303, 403]
    assert len(owners(world)) == 1


async def test_a_wrong_code_changes_nothing(world: PortalWorld, code: str) -> None:
    status, text = await enter(world, WRONG)
    assert status == 403
    assert "That is not the code." in text
    assert owners(world) == []


async def test_the_page_after_a_wrong_code_does_not_come_again_by_itself(
    world: PortalWorld, code: str
) -> None:
    assert "refresh" not in (await enter(world, WRONG))[1].partition("</style>")[2]


async def test_a_device_has_a_few_tries_and_then_waits(world: PortalWorld, code: str) -> None:
    for _ in range(DEVICE_TRIES):
        assert (await enter(world, WRONG))[0] == 403
    status, text = await enter(world, code)
    assert status == 429
    assert "Wait 15 minutes" in text
    world.clock += WAIT_S
    assert (await enter(world, code))[0] == 303


async def test_the_tries_of_one_device_do_not_stop_another(world: PortalWorld, code: str) -> None:
    for _ in range(DEVICE_TRIES + 1):
        await enter(world, WRONG)
    assert (await enter(world, code, "10.0.0.3"))[0] == 303


async def test_many_devices_cannot_go_on_guessing(world: PortalWorld, code: str) -> None:
    for number in range(claimcode.TRIES):
        with pytest.raises(ClaimError, match="wrong"):
            async with world.claims.redeem(f"dev-{number}", WRONG):
                pass
    with pytest.raises(ClaimError, match="void"):
        async with world.claims.redeem("dev-right", code):
            pass


async def test_a_restart_gives_no_new_tries(world: PortalWorld, code: str) -> None:
    for number in range(claimcode.TRIES):
        with pytest.raises(ClaimError, match="wrong"):
            async with ClaimDesk(world.folder, world.monotonic).redeem(f"dev-{number}", WRONG):
                pass
    assert claim.read(world.folder) is None


async def test_the_devices_that_are_remembered_are_bounded(
    world: PortalWorld, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "MOST_DEVICES", 3)
    for number in range(10):
        with pytest.raises(ClaimError, match="wrong"):
            async with world.claims.redeem(f"dev-{number}", WRONG):
                pass
    assert len(world.claims._wrong) == 3


async def test_a_claim_that_the_ledger_does_not_take_leaves_the_code(
    world: PortalWorld, code: str
) -> None:
    await world.device("phone", state=DeviceState.PENDING)
    world.store.down = "the ledger is away"
    assert (await enter(world, code))[0] == 503
    world.store.down = None
    assert (await enter(world, code))[0] == 303


async def test_a_damaged_file_is_no_code(world: PortalWorld) -> None:
    world.folder.write_claim("{")
    assert (await enter(world, ""))[0] == 403
    assert owners(world) == []


def test_the_file_is_private(world: PortalWorld, code: str) -> None:
    assert stat.S_IMODE(world.folder.claim_file.stat().st_mode) == 0o600


def test_a_code_stays_until_it_is_renewed(world: PortalWorld, code: str) -> None:
    assert claim.ensure(world.folder).code == code
    assert claim.ensure(world.folder, renew=True).code != code


def test_a_void_code_is_replaced(world: PortalWorld) -> None:
    world.folder.write_claim(claimcode.dump(claimcode.ClaimCode(WRONG, 0)))
    assert claim.ensure(world.folder).left == claimcode.TRIES


async def test_the_form_is_there_until_somebody_is_owner(world: PortalWorld) -> None:
    await world.device("phone")
    async with world.visit() as browser:
        assert 'action="/claim"' in (await browser.get("/")).text
        await world.device("tablet", "10.0.0.3", owner=True)
        assert 'action="/claim"' not in (await browser.get("/")).text
