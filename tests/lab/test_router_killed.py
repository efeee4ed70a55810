"""A router that was killed: what it says of itself meanwhile, and what the next one takes over."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab, wait_until
from tests.lab.product import Product, product


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    with product(lab, tmp_path) as made:
        made.admit(1)
        yield made


def _check(gateway: Product, name: str) -> dict[str, Any]:
    said = json.loads(gateway.cli("doctor", "--json").stdout)["checks"]
    return {one["check"]: dict(one) for one in said}[name]


def test_doctor_says_that_the_lan_is_closed(gateway: Product) -> None:
    gateway.kill()
    one = _check(gateway, "gateway")
    assert one["detail"] == "the gateway ended uncleanly, the LAN is closed"
    assert "start it again" in one["mend"]
    assert "tripgate router remove" in one["mend"]
    assert _check(gateway, "port listen")["detail"] == "off"
    gateway.start()
    assert gateway.stop() == 0
    assert _check(gateway, "gateway")["detail"] == "not running"


@pytest.mark.parametrize("login", [False, True])
def test_both_resolvers_are_adopted(gateway: Product, login: bool) -> None:
    if login:
        gateway.own(1)
        record = gateway.state / "dnsmasq-resolver.child"
        before = record.read_text()
        gateway.run("uplink", "login")
        # One of another configuration runs: in between there is none, and none to be adopted.
        wait_until(lambda: record.exists() and record.read_text() != before, "the login", 10)
    for _ in range(2):
        gateway.kill()
        at = len(gateway.said())
        gateway.start()
        said = gateway.said()[at:]
        for name in ("dnsmasq-resolver", "dnsmasq-captive"):
            assert f"{name} runs already" in said
        assert "otherwise" not in said
