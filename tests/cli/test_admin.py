"""``tripgate admin``."""

from tests.cli.conftest import World
from tripgate.core.model import DeviceState
from tripgate.portal import claim
from tripgate.statefolder import StateFolder


def test_claim_makes_a_code_and_prints_the_same_one_again(world: World) -> None:
    first = world.json("admin", "claim")
    assert first == {"code": first["code"], "tries": 50}
    assert world.json("admin", "claim") == first
    assert first["code"] in world.run("admin", "claim")


def test_claim_renewed_makes_the_old_code_void(world: World) -> None:
    first = world.json("admin", "claim")["code"]
    second = world.json("admin", "claim", "--renew")["code"]
    now = claim.read(StateFolder(world.state))
    assert now
    assert (now.matches(first), now.matches(second)) == (False, True)


def test_where_no_gateway_ever_ran_there_is_no_code(empty: World) -> None:
    code, line = empty.refused("admin", "claim")
    assert code == 3
    assert "no gateway is running" in line


def test_an_enrolled_device_is_an_owners_and_let_in(world: World) -> None:
    phone = world.device("phone")
    document = world.json("admin", "enroll", "phone")
    assert (document["state"], document["owner"]) == ("approved", True)
    assert world.book.devices[phone].owner


def test_enroll_without_a_name_prints_the_code_for_one_more(world: World) -> None:
    world.device("phone")
    world.run("admin", "enroll", "phone")
    assert world.json("admin", "enroll") == world.json("admin", "claim")


def test_a_blocked_device_is_not_enrolled(world: World) -> None:
    phone = world.device("phone")
    world.run("device", "block", "phone")
    code, line = world.refused("admin", "enroll", "phone")
    assert (code, "is blocked" in line) == (1, True)
    assert not world.book.devices[phone].owner


def test_reset_leaves_no_owner_and_every_device_let_in(world: World) -> None:
    phone, laptop = world.device("phone"), world.device("laptop")
    world.run("device", "approve", "laptop")
    world.run("admin", "enroll", "phone")
    world.run("admin", "reset")
    devices = world.book.devices
    assert not any(device.owner for device in devices.values())
    assert [devices[one].state for one in (phone, laptop)] == [DeviceState.APPROVED] * 2


def test_reset_makes_the_code_void_that_was_there(world: World) -> None:
    first = world.json("admin", "claim")["code"]
    second = world.json("admin", "reset")["code"]
    now = claim.read(StateFolder(world.state))
    assert now
    assert (now.matches(first), now.matches(second)) == (False, True)


def test_owners_made_and_unmade_are_in_the_audit(world: World) -> None:
    world.device("phone")
    world.run("admin", "enroll", "phone")
    world.run("admin", "reset")
    actions = [entry["action"] for entry in world.json("audit")[:2]]
    assert actions == ["admin reset", "admin enroll"]
