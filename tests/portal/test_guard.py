"""Who is answered, under which name, and which forms are taken."""

import asyncio
from pathlib import Path

import pytest

from tests.portal.browsing import ORIGIN, post, token
from tests.portal.worlds import HERE, PortalWorld, make_world
from tripgate.core import claimcode
from tripgate.core.model import DeviceState
from tripgate.portal import guard, look
from tripgate.portal.guard import is_ours
from tripgate.portal.world import PortalSettings

NAMES = frozenset({"localhost", "tripgate", "box.local"})
EXPLICIT = PortalSettings(names=NAMES)
CAPTIVE = PortalSettings(names=NAMES, url="http://10.77.0.1/", captive=True)


@pytest.fixture
def world(tmp_path: Path) -> PortalWorld:
    """A world with a claim code, whose form any device may send."""
    made = make_world(tmp_path)
    made.folder.write_claim(claimcode.dump(claimcode.make(7)))
    return made


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
async def test_a_client_that_the_gateway_does_not_serve_gets_nothing(
    world: PortalWorld, address: str
) -> None:
    async with world.visit(address) as browser:
        got = await browser.get("/")
    assert got.status_code == 403
    assert "<html" not in got.text
    assert not world.book.devices


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "The portal has no page at this address."), ("de", "hat das Portal keine Seite")],
)
@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/claim", 405)])
async def test_where_no_page_is_there_is_a_way_to_the_start(
    world: PortalWorld, path: str, status: int, language: str, said: str
) -> None:
    async with world.visit() as browser:
        got = await browser.get(path, headers={"Accept-Language": language})
    assert got.status_code == status
    assert got.headers["content-security-policy"] == look.policy()
    assert (said in got.text, 'href="/"' in got.text) == (True, True)
    assert ("allow" in got.headers) == (status == 405)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8088", "tripgate", "box.local", "box.local.:80",
        "10.0.0.1", "10.0.0.1:8088", "192.168.1.5:8088", "[::1]", "[fd00::1]:8088",
    ],
)  # fmt: skip
def test_the_portal_answers_to_its_names_and_to_addresses(host: str) -> None:
    assert is_ours(host, "10.0.0.1", EXPLICIT)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "evil.example:8088", "localhost.evil.example", "10.0.0.1.evil.example",
        "tripgate:80:80", "trip gate", "localhost/", "user@localhost", "[::1", "box.local..",
        "0x0a000001", "10.1", "é.local",
    ],
)  # fmt: skip
def test_the_portal_does_not_answer_to_other_names(host: str) -> None:
    assert not is_ours(host, "10.0.0.1", EXPLICIT)


@pytest.mark.parametrize(
    ("host", "ours"),
    [("10.0.0.1", True), ("[::ffff:10.0.0.1]", True), ("1.1.1.1", False), ("10.0.0.2", False)],
)
def test_as_captive_portal_only_the_own_address_is_ours(host: str, ours: bool) -> None:
    assert is_ours(host, "10.0.0.1", CAPTIVE) == ours


async def test_a_rebound_name_reads_nothing(world: PortalWorld) -> None:
    async with world.visit(base="http://evil.example") as browser:
        got = await browser.get("/")
    assert got.status_code == 421
    assert "dev-" not in got.text
    assert not world.book.devices


@pytest.mark.parametrize("path", ["/", "/devices", "/captive-api", "/nothing"])
async def test_every_answer_has_the_headers(world: PortalWorld, path: str) -> None:
    async with world.visit() as browser:
        got = await browser.get(path)
    assert {name.lower(): value for name, value in look.headers()}.items() <= dict(
        got.headers
    ).items()


async def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(
    world: PortalWorld,
) -> None:
    async with world.visit() as browser:
        cookie = (await browser.get("/")).headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_other_methods_are_refused(world: PortalWorld, method: str) -> None:
    async with world.visit() as browser:
        assert (await browser.request(method, "/")).status_code == 405


async def test_a_form_of_the_portals_own_page_is_taken(world: PortalWorld) -> None:
    async with world.visit() as browser:
        got = await post(browser, "/claim", code="wrong")
    assert "That is not the code." in got.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": f"https://{HERE}"},
        {"Origin": f"http://{HERE}:8080"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "none"},
    ],
)
async def test_a_form_of_another_origin_is_refused(
    world: PortalWorld, headers: dict[str, str]
) -> None:
    async with world.visit() as browser:
        known = {"code": "0000-0007", "token": await token(browser)}
        got = await browser.post("/claim", data=known, headers=headers)
    assert got.status_code == 403
    assert not next(iter(world.book.devices.values())).owner


@pytest.mark.parametrize("given", ["", "0" * 64, "é", "x" * 1000])
async def test_a_form_without_the_right_token_is_refused(world: PortalWorld, given: str) -> None:
    async with world.visit() as browser:
        await browser.get("/")
        got = await post(browser, "/claim", code="0000-0007", token=given)
    assert got.status_code == 403
    assert not next(iter(world.book.devices.values())).owner


async def test_a_token_without_its_cookie_is_refused(world: PortalWorld) -> None:
    async with world.visit() as browser:
        known = await token(browser)
        browser.cookies.clear()
        got = await post(browser, "/claim", code="0000-0007", token=known)
    assert got.status_code == 403


async def test_the_token_of_another_device_is_refused(world: PortalWorld) -> None:
    app = world.app()
    async with world.visit("10.0.0.9", app=app) as other:
        stolen = await token(other)
        cookies = dict(other.cookies)
    async with world.visit(app=app) as browser:
        browser.cookies.update(cookies)
        got = await post(browser, "/claim", code="0000-0007", token=stolen)
    assert got.status_code == 403


async def test_a_token_is_void_after_a_restart(world: PortalWorld) -> None:
    async with world.visit() as browser:
        known, cookies = await token(browser), dict(browser.cookies)
    async with world.visit() as browser:
        browser.cookies.update(cookies)
        got = await post(browser, "/claim", code="0000-0007", token=known)
    assert got.status_code == 403


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("code=1&" * 9, "application/x-www-form-urlencoded", 400),
        ("code=é", "application/x-www-form-urlencoded", 400),
        ("x" * 5000, "application/x-www-form-urlencoded", 413),
        ('{"code": 1}', "application/json", 400),
        ("code=1", "text/plain", 400),
        ("code=1", "", 400),
    ],
)
async def test_what_is_no_small_form_is_refused(
    world: PortalWorld, content: str, kind: str, status: int
) -> None:
    async with world.visit() as browser:
        headers = {"Origin": ORIGIN, "Content-Type": kind}
        got = await browser.post("/claim", content=content.encode(), headers=headers)
    assert got.status_code == status


async def test_a_form_that_does_not_come_is_not_waited_for(
    world: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "FORM_S", 0.05)

    async def never():  # type: ignore[no-untyped-def]
        yield b"code="
        await asyncio.Event().wait()

    async with world.visit() as browser:
        headers = {"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
        got = await browser.post("/claim", content=never(), headers=headers)
    assert got.status_code == 408


async def test_a_blocked_device_changes_nothing(world: PortalWorld) -> None:
    await world.device("phone", state=DeviceState.BLOCKED)
    async with world.visit() as browser:
        await browser.get("/")
        got = await browser.post("/claim", data={"code": "0000-0007"}, headers={"Origin": ORIGIN})
    assert got.status_code == 403
    assert world.folder.read_claim()
