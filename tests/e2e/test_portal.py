"""The portal of a real gateway, asked directly and through the proxy."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.clients import curl
from tests.origin import http_talk, origin
from tests.running import Gateway, gateway

MB = 1_000_000
CLAIM = re.compile(r"Claim code +([0-9A-Z]{4}-[0-9A-Z]{4}) ")


def ask(url: str, *args: str) -> str:
    """What curl prints: head and body."""
    command = ["curl", "-sS", "-i", "-m", "10", *args, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_portal_shows_what_the_gateway_counted(running: Gateway) -> None:
    with origin(http_talk) as server:
        curl(running, f"{server.url}/{5 * MB}")
    running.rest()
    text = ask(f"http://127.0.0.1:{running.portal}/")
    assert text.startswith("HTTP/1.1 200 ")
    assert "<h1>this-machine</h1>" in text
    assert re.search(r"<b>[5-9](\.\d+)?\u00a0MB</b>", text)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::1]"])
def test_a_browser_that_sends_everything_through_the_proxy_gets_the_portal(
    running: Gateway, address: str
) -> None:
    proxy = ("-x", f"http://127.0.0.1:{running.proxy}")
    text = ask(f"http://{address}:{running.portal}/", *proxy)
    assert text.startswith("HTTP/1.1 200 ")
    assert "<h1>this-machine</h1>" in text


def test_the_proxy_knows_the_portal_by_name(running: Gateway) -> None:
    text = ask("http://tripgate/", "-x", f"http://127.0.0.1:{running.proxy}")
    assert "<h1>this-machine</h1>" in text


def test_the_head_of_the_portal_through_the_proxy_is_not_followed_by_a_body(
    running: Gateway,
) -> None:
    proxy = ("-x", f"http://127.0.0.1:{running.proxy}")
    text = ask("http://tripgate/", "-I", "http://tripgate/captive-api", *proxy)
    assert text.count("HTTP/1.1 200 ") == 2
    assert "<html" not in text


def test_the_portal_through_the_proxy_costs_nothing(running: Gateway) -> None:
    running.rest()
    before = running.recorded()
    ask("http://tripgate/", "-x", f"http://127.0.0.1:{running.proxy}")
    assert running.rest() == before


def test_the_portal_through_the_proxy_takes_no_long_body(running: Gateway) -> None:
    body = ("-d", "x" * 10_000)
    text = ask("http://tripgate/claim", "-x", f"http://127.0.0.1:{running.proxy}", *body)
    assert text.startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_the_name_of_the_portal_leads_to_no_other_port(running: Gateway, path: str) -> None:
    proxy = ("-x", f"http://127.0.0.1:{running.proxy}")
    text = ask(f"http://tripgate:{running.metrics}{path}", *proxy)
    assert not text.startswith("HTTP/1.1 200 ")


def test_over_the_cap_the_portal_still_answers_through_the_proxy(tmp_path: Path) -> None:
    with gateway(tmp_path / "state") as one, origin(http_talk) as server:
        one.run("cap", "set", "this-machine", "1MB/day")
        curl(one, f"{server.url}/{5 * MB}")
        page = curl(one, f"{server.url}/1", "-H", "Accept: text/html", keep=True)
        link = re.search(r'href="(http://[^"]+)"', page.text)
        assert page.status == 511
        assert link
        one.rest()
        text = ask(link[1], "-x", f"http://127.0.0.1:{one.proxy}")
    assert '<span class="badge reached">Used up</span>' in text


def test_the_printed_code_makes_the_first_owner(tmp_path: Path) -> None:
    with gateway(tmp_path / "state") as one:
        match = CLAIM.search(one.log.read_text())
        assert match
        assert one.json("admin", "claim")["code"] == match[1]
        base = f"http://127.0.0.1:{one.portal}"
        jar = ("-b", str(tmp_path / "jar"), "-c", str(tmp_path / "jar"))
        token = re.search(r'name="token" value="(\w+)"', ask(f"{base}/", *jar))
        assert token
        form = ("-d", f"code={match[1]}", "-d", f"token={token[1]}", "-H", f"Origin: {base}")
        assert ask(f"{base}/claim", *jar, *form).startswith("HTTP/1.1 303 ")
        assert ask(f"{base}/devices", *jar).startswith("HTTP/1.1 200 ")
        one.stop()
        one.log.write_text("")
        one.start()
        assert not CLAIM.search(one.log.read_text())


def test_the_captive_portal_api_answers(running: Gateway) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.portal}/captive-api") as got:
        assert got.headers["content-type"] == "application/captive+json"
        assert json.load(got)["captive"] is False
