"""What phones ask a network about itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.portal.worlds import HERE, MB, PHONE, PortalWorld, make_world
from tripgate.core.model import DeviceState, Period, device_target

URL = "http://10.0.0.1/"


@pytest.fixture
def router(tmp_path: Path) -> PortalWorld:
    """A world in the router mode."""
    return make_world(tmp_path, names=frozenset({"tripgate"}), url=URL, captive=True, wire=True)


@pytest.mark.parametrize(
    "probe",
    [
        "http://captive.apple.com/hotspot-detect.html",
        "http://connectivitycheck.gstatic.com/generate_204",
        "http://www.msftconnecttest.com/connecttest.txt",
        "http://detectportal.firefox.com/success.txt",
        "http://connect.rom.miui.com/generate_204",
        "http://neverssl.com/",
        "http://1.1.1.1/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_whatever_else_is_asked_for_leads_to_the_portal(
    router: PortalWorld, probe: str, method: str
) -> None:
    async with router.visit() as browser:
        got = await browser.request(method, probe)
    assert (got.status_code, got.headers["location"]) == (302, URL)
    assert got.headers["cache-control"] == "no-store"
    assert "set-cookie" not in got.headers


async def test_asking_for_something_else_enters_nobody(router: PortalWorld) -> None:
    async with router.visit() as browser:
        await browser.get("http://captive.apple.com/hotspot-detect.html")
    assert not router.book.devices


async def api(world: PortalWorld) -> dict[str, Any]:
    async with world.visit() as browser:
        got = await browser.get(f"http://{HERE}/captive-api")
    assert got.headers["content-type"] == "application/captive+json"  # RFC 8908 section 4
    document = json.loads(got.content)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("state", [None, DeviceState.PENDING, DeviceState.BLOCKED])
async def test_a_device_that_is_not_let_in_is_captive(
    router: PortalWorld, state: DeviceState | None
) -> None:
    if state:
        await router.device("phone", state=state)
    assert await api(router) == {
        "captive": True,
        "user-portal-url": URL,
        "can-extend-session": True,
    }


async def test_a_device_that_is_let_in_is_not_captive(router: PortalWorld) -> None:
    await router.device("phone")
    document = await api(router)
    assert document["captive"] is False
    assert "bytes-remaining" not in document


async def test_what_remains_is_what_the_tightest_limit_leaves(router: PortalWorld) -> None:
    device = await router.device("phone")
    await router.cap(device_target(device.id), Period.DAY, 500 * MB)
    await router.cap(device_target(device.id), Period.WEEK, 320 * MB)
    await router.used(device, "YouTube", 300 * MB)
    document = await api(router)
    assert (document["captive"], document["bytes-remaining"]) == (False, 20 * MB)


@pytest.mark.parametrize(("action", "captive"), [("block", True), ("throttle:64kbit", False)])
async def test_at_a_cap_that_blocks_a_device_is_captive(
    router: PortalWorld, action: str, captive: bool
) -> None:
    device = await router.device("phone")
    await router.cap(device_target(device.id), Period.DAY, 5 * MB, action)
    await router.used(device, "YouTube", 5 * MB)
    document = await api(router)
    assert (document["captive"], document["bytes-remaining"]) == (captive, 0)


async def test_without_a_ledger_a_device_is_captive(router: PortalWorld) -> None:
    await router.device("phone")
    router.store.down = "the ledger is away"
    assert (await api(router))["captive"] is True


async def test_the_page_says_that_whole_packets_are_counted(router: PortalWorld) -> None:
    await router.device("phone", PHONE)
    async with router.visit() as browser:
        text = (await browser.get("/")).text
    assert "whole packets on the uplink" in text
