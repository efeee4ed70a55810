"""``tripgate uplink``."""

import pytest

from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tripgate.core.book import claim_device
from tripgate.core.uplinks import LOGIN_S


def test_without_a_gateway_there_is_the_default_uplink(world: World) -> None:
    assert world.json("uplink", "show") == [
        {
            "name": "default",
            "active": True,
            "metered": True,
            "link": None,
            "up": None,
            "down": None,
        }
    ]


@pytest.mark.parametrize("link", ["up", "down"])
def test_an_uplink_that_is_down_is_not_in_use(world: World, link: str) -> None:
    with gateway(world.state, uplinks={"up0": {"up": 1, "down": 2, "active": True, "link": link}}):
        assert world.json("uplink", "show")[0]["link"] == link
        assert ("in use" in world.run("uplink", "show")) is (link == "up")


def test_an_uplink_is_unmetered_until_it_is_metered_again(world: World) -> None:
    world.run("uplink", "unmetered", "--name", "wlan1")
    assert world.book.unmetered == ("wlan1",)
    world.run("uplink", "metered", "--name", "wlan1")
    assert world.book.unmetered == ()


def test_it_is_drawn_with_what_it_costs(world: World) -> None:
    assert "nothing" in world.run("uplink", "unmetered")
    assert "metered" in world.run("uplink", "metered")


def test_a_change_is_in_the_audit(world: World) -> None:
    world.run("uplink", "unmetered", "--name", "wlan1")
    assert world.json("audit")[0]["action"] == "uplink unmetered"


def test_what_is_no_interface_is_refused(world: World) -> None:
    code, line = world.refused("uplink", "unmetered", "--name", "../x")
    assert (code, line) == (1, "'../x' is no uplink: `tripgate uplink show` names them")


def test_the_only_owners_device_logs_in(world: World) -> None:
    phone = world.device("phone")
    world.device("tablet")
    world.put(lambda book: claim_device(book, "phone"))
    document = world.json("uplink", "login")
    login = world.book.login
    assert login is not None
    assert (document["device"], login.device) == ("phone", phone)
    assert document["until"].endswith("Z")
    assert LOGIN_S == 600


@pytest.mark.parametrize(
    ("owners", "arguments", "line"),
    [
        ((), (), "there are 0 devices of owners: `tripgate admin claim` shows the code"),
        (("phone", "tablet"), (), "there are 2 devices of owners: name one with --device: phone"),
        (("phone",), ("--device", "tablet"), "tablet is no owner's device"),
        (("phone",), ("--device", "tabled"), "no device 'tabled': did you mean tablet?"),
    ],
)
def test_nobody_else_logs_in(
    world: World, owners: tuple[str, ...], arguments: tuple[str, ...], line: str
) -> None:
    for name in ("phone", "tablet"):
        world.device(name)
    for name in owners:
        world.put(lambda book, name=name: claim_device(book, name))  # type: ignore[misc]
    code, said = world.refused("uplink", "login", *arguments)
    assert code == 1
    assert said.startswith(line)
    assert world.book.login is None
