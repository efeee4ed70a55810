"""``tripgate device``: what is listed, and every edit with its audit."""

import time

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tripgate.cli.command import actor
from tripgate.core import proxyuser
from tripgate.core.book import add_device, claim_device
from tripgate.core.model import DeviceState


def test_the_list_has_the_keys_of_the_contract(world: World) -> None:
    phone = world.device("phone", "maria", address="10.0.0.7")
    world.used(phone, 1_000, 2_000)
    world.run("cap", "set", "phone", "10MB/day")
    world.run("cap", "set", "phone", "1GB/once")
    (row,) = world.json("device", "list")
    shapes.fits(row, shapes.DEVICE)
    assert {key: row[key] for key in ("id", "name", "person", "state", "mac", "ip", "ips")} == {
        "id": phone,
        "name": "phone",
        "person": "maria",
        "state": "approved",
        "mac": None,
        "ip": "10.0.0.7",
        "ips": ["10.0.0.7"],
    }
    assert row["used_today"] == 3_000
    assert [(cap["period"], cap["used"], cap["remaining"]) for cap in row["caps"]] == [
        ("day", 3_000, 9_997_000),
        ("once", 0, 1_000_000_000),
    ]


def test_devices_are_listed_by_name(world: World) -> None:
    for name in ("tablet", "camera", "phone"):
        world.device(name)
    assert [row["name"] for row in world.json("device", "list")] == ["camera", "phone", "tablet"]


@pytest.mark.parametrize(
    ("ips", "shown"),
    [
        (["10.77.0.5", "fd77::5", "fe80::5"], "10.77.0.5"),
        (["fe80::5", "fd77::5", "2001:db8::5"], "2001:db8::5"),
        (["fd77::5", "fe80::5"], "fd77::5"),
        (["fe80::5", "169.254.3.4", "10.77.0.5", "10.77.0.6"], "10.77.0.6"),
        (["fe80::5"], "fe80::5"),
        ([], None),
    ],
)
def test_the_address_shown_is_the_one_that_people_know(
    world: World, ips: list[str], shown: str | None
) -> None:
    phone = world.device("phone")
    with gateway(world.state, present={phone: {"ips": ips}}):
        row = world.json("device", "show", "phone")
        assert (row["ip"], row["ips"]) == (shown, ips)
        assert (shown or " -  ") in world.run("device", "list")


def test_the_owners_devices_are_marked(world: World) -> None:
    phone = world.device("phone")
    world.device("tablet")
    world.put(lambda book: claim_device(book, phone))
    _, first, second = world.run("device", "list").splitlines()
    assert (first.split()[3], second.split()[3]) == ("owner", "-")
    assert world.run("device", "show", "phone").splitlines()[1].split()[3] == "owner"


def test_in_router_mode_this_machine_is_no_device_for_people(world: World) -> None:
    world.put(lambda book: add_device(book, "host", 1, entropy="00000001", name="this-machine")[0])
    assert "this-machine" in world.run("device", "list")
    (world.state / "posted").touch()
    assert "this-machine" not in world.run("device", "list")
    (row,) = world.json("device", "list")
    assert row["name"] == "this-machine"
    world.used(row["id"], 0, 1_000)
    assert "this-machine" in world.run("device", "list"), "it uses the proxy"


def test_a_device_that_nobody_saw_has_no_last_seen_and_no_use(world: World) -> None:
    world.device("phone")
    row = world.json("device", "show", "phone")
    assert (row["last_seen"], row["used_today"], row["caps"]) == (None, 0, [])


def test_this_machine_has_no_address_of_its_own(world: World) -> None:
    world.put(lambda book: add_device(book, "host", 1, entropy="00000001", name="this-machine")[0])
    row = world.json("device", "show", "this-machine")
    assert (row["ip"], row["ips"]) == (None, [])


def test_yesterdays_bytes_are_not_todays_once_the_clock_is_trusted(world: World) -> None:
    phone = world.device("phone")
    world.used(phone, 0, 5_000, at=int(time.time()) - 86_400)
    with gateway(world.state, clock="trusted"):
        assert world.json("device", "show", "phone")["used_today"] == 0
    with gateway(world.state, clock="untrusted"):
        assert world.json("device", "show", "phone")["used_today"] == 5_000


def test_show_finds_a_device_by_its_id(world: World) -> None:
    phone = world.device("phone")
    assert world.json("device", "show", phone)["name"] == "phone"


def test_the_table_is_aligned_and_has_volumes_for_people(world: World) -> None:
    phone = world.device("phone", "maria", address="10.0.0.7")
    world.used(phone, 0, 120_000_000, at=int(time.time()))
    world.run("cap", "set", "phone", "500MB/day")
    heading, row = world.run("device", "list").splitlines()
    assert heading.split() == [
        "device",
        "state",
        "person",
        "owner",
        "address",
        "last",
        "seen",
        "today",
        "caps",
    ]
    assert row.startswith("phone   approved  maria   -      10.0.0.7  ")
    assert row.endswith("  120 MB  day 120 MB of 500 MB")
    assert heading.index("caps") == row.index("day 120")


def test_an_empty_list_says_how_devices_come(world: World) -> None:
    assert world.run("device", "list") == (
        "no devices yet: use the gateway as a proxy and the device shows up here\n"
    )
    assert world.json("device", "list") == []


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        (("block", "phone"), {"state": "blocked"}),
        (("approve", "phone"), {"state": "approved", "person": None}),
        (("approve", "phone", "--person", "maria"), {"state": "approved", "person": "maria"}),
        (("name", "phone", "handy"), {"name": "handy"}),
        (("merge", "phone", "new-phone"), {"ips": ["10.0.0.1", "10.0.0.2"]}),
    ],
)
def test_an_edit_prints_the_device_as_it_is_now(
    world: World, command: tuple[str, ...], changed: dict[str, object]
) -> None:
    world.device("phone")
    world.device("new-phone")
    world.run("person", "add", "maria")
    row = world.json("device", *command)
    shapes.fits(row, shapes.DEVICE)
    assert {key: row[key] for key in changed} == changed
    assert row in world.json("device", "list")


@pytest.mark.parametrize(
    ("command", "action", "detail"),
    [
        (("block", "phone"), "device block", "phone"),
        (("approve", "new", "--person", "maria"), "device approve", "new for maria"),
        (("name", "phone", "handy"), "device name", "phone to handy"),
        (("forget", "phone"), "device forget", "phone"),
        (("merge", "phone", "new"), "device merge", "new into phone"),
    ],
)
def test_every_edit_is_audited_with_who_did_it(
    world: World, command: tuple[str, ...], action: str, detail: str
) -> None:
    world.device("phone")
    world.put(lambda book: add_device(book, "ip:10.9.9.9", 1, entropy="00000009", name="new")[0])
    world.run("person", "add", "maria")
    world.run("device", *command)
    newest = world.json("audit")[0]
    assert (newest["actor"], newest["action"], newest["detail"]) == (actor(), action, detail)


def test_a_forgotten_device_is_gone_with_its_caps(world: World) -> None:
    world.device("phone")
    world.run("cap", "set", "phone", "1MB/day")
    assert world.run("device", "forget", "phone") == "phone is forgotten\n"
    assert (world.book.devices, world.book.caps) == ({}, {})


def test_forget_prints_one_document(world: World) -> None:
    world.device("phone")
    assert world.json("device", "forget", "phone") == {"forgotten": "phone"}


def test_an_edit_that_changes_nothing_is_not_audited(world: World) -> None:
    world.device("phone")
    before = world.json("audit")
    assert world.json("device", "approve", "phone")["state"] == DeviceState.APPROVED
    assert world.json("audit") == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("show", "fone"), "no device 'fone': did you mean phone?"),
        (("show", "zzz"), "no device 'zzz': `tripgate device list` shows them"),
        (("block", ""), "no device '': `tripgate device list` shows them"),
        (("approve", "phone", "--person", "x"), "no person 'x': `tripgate person list` shows them"),
        (("name", "phone", "My Phone"), "'My Phone' is no name: use 1 to 32 of a-z, 0-9 and -"),
        (("name", "phone", "a" * 33), f"{'a' * 33!r} is no name: use 1 to 32 of a-z, 0-9 and -"),
        (("name", "phone", "laptop"), "another device is called laptop: choose another name"),
        (("merge", "phone", "phone"), "'phone' and 'phone' are the same device"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    world: World, command: tuple[str, ...], message: str
) -> None:
    world.device("phone")
    world.device("laptop")
    before = world.book
    assert world.refused("device", *command) == (1, message)
    assert world.book == before


def test_a_proxy_user_is_shown_its_secret_once_and_the_ledger_keeps_a_digest(world: World) -> None:
    made = world.json("device", "proxy-user", "laptop")
    assert (made["device"], made["user"], len(made["secret"])) == ("laptop", "laptop", 22)
    (device,) = world.book.devices.values()
    assert proxyuser.fits(made["secret"], device.proxy_secret)
    for command in (("device", "list"), ("device", "show", "laptop"), ("audit",)):
        assert made["secret"] not in str(world.json(*command))


def test_people_are_told_where_the_secret_goes(world: World) -> None:
    said = world.run("device", "proxy-user", "laptop")
    assert "user laptop, secret " in said
    assert "\\" not in said
    assert len(said.splitlines()) == 2
    assert "not shown again" in said


def test_a_proxy_user_needs_a_name(world: World) -> None:
    code, said = world.refused("device", "proxy-user", "Not A Name")
    assert (code, "use 1 to 32 of a-z" in said) == (1, True)
