"""``tripgate admin``."""

from tests.cli.conftest import World
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
