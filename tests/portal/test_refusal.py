"""What a refused client reads."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tripgate.core.book import EMPTY, Book, add_device, set_plan
from tripgate.core.model import (
    PLAN,
    Cap,
    Device,
    DeviceState,
    Limit,
    Period,
    Plan,
    device_target,
    person_target,
)
from tripgate.core.period import starts
from tripgate.core.policy import Policy, Verb
from tripgate.portal.refusal import KINDS, Refused, respond
from tripgate.portal.words import LANGUAGES, load

NOON = 1_763_985_600  # Monday 24 November 2025, 12:00 UTC
PORTAL = "http://10.77.0.1:8088/"
MEXICO = Plan(volume=10**10, tz="America/Mexico_City", starts_at=NOON - 86_400, valid_s=30 * 86_400)
HOSTILE = '<script>alert("1")</script>'


def book_of(plan: Plan | None = MEXICO) -> tuple[Book, Device]:
    book, device = add_device(EMPTY, "ip:10.0.0.2", 0, entropy="00000001", name="annas-phone")
    return set_plan(book, plan), device


def over(period: Period = Period.DAY, plan: Plan | None = MEXICO) -> Refused:
    """Over a cap of 500 MB on the device."""
    book, device = book_of(plan)
    limit = Limit(device_target(device.id), period, starts(plan, NOON)[period], 500_000_000)
    return Refused("cap", device, limit, 501_000_000, book)


def split(response: bytes) -> tuple[str, Mapping[str, str], str]:
    head, _, body = response.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    return status, dict(line.lower().split(": ", 1) for line in fields), body


def asked(refused: Refused, **headers: str) -> tuple[str, Mapping[str, str], str]:
    """``accept_language="es"`` is the header ``Accept-Language``."""
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    return split(respond(refused, known.get, PORTAL))


BROWSER = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("cap", "511 Network Authentication Required"),
        ("pending", "511 Network Authentication Required"),
        ("blocked", "511 Network Authentication Required"),
        ("policy", "511 Network Authentication Required"),
        ("paused", "511 Network Authentication Required"),
        ("ledger", "503 Service Unavailable"),
        ("destination", "403 Forbidden"),
        ("request", "400 Bad Request"),
    ],
)
def test_the_status_says_whose_move_it_is(kind: str, status: str) -> None:
    assert asked(Refused(kind))[0] == f"HTTP/1.1 {status}"


def test_a_program_reads_which_limit_how_much_until_when_and_what_to_do() -> None:
    _, fields, body = asked(over())
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert body == (
        "The data limit is reached\n"
        "This limit is used up, so the connection is paused.\n"
        "\n"
        "Device: annas-phone\n"
        "Whose limit: This device\n"
        "Limit: 500 MB per day\n"
        "Used: 501 MB\n"
        "Starts again: Tue 25 Nov, 00:00 (America/Mexico_City)\n"
        "\n"
        "Wait until the limit starts again, or ask the owner of this connection to raise it. "
        "A raised limit works at once.\n"
        f"See what is left: {PORTAL}\n"
    )


@pytest.mark.parametrize("tag", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_reads_every_refusal_in_its_language(tag: str, kind: str) -> None:
    refused = over() if kind == "cap" else Refused(kind, book_of()[1])
    _, fields, body = asked(refused, accept=BROWSER, accept_language=f"{tag}-XX, en;q=0.1")
    assert f'<html lang="{tag}">' in body
    assert fields["content-language"] == tag
    assert f"<h1>{load(tag)(f'title_{kind}')}</h1>" in body.replace("&#39;", "'")
    assert "annas-phone" in body


@pytest.mark.parametrize("tag", LANGUAGES)
def test_page_and_text_give_the_same_facts(tag: str) -> None:
    page = asked(over(), accept=BROWSER, accept_language=tag)[2]
    text = asked(over(), accept_language=tag)[2]
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.replace("\u00a0", " "))
    assert len(facts) == 5
    assert [f"{name}: {value}" for name, value in facts] == text.split("\n")[3:8]


@pytest.mark.parametrize("accept", ["", BROWSER])
def test_the_length_is_that_of_the_body(accept: str) -> None:
    _, fields, body = asked(over(), accept=accept, accept_language="ja")
    assert int(fields["content-length"]) == len(body.encode())


def test_nobody_keeps_the_page_and_the_connection_ends() -> None:
    fields = asked(over(), accept=BROWSER)[1]
    assert fields["cache-control"] == "no-store"
    assert fields["connection"] == "close"


def test_the_page_runs_no_script_and_fetches_nothing() -> None:
    _, fields, body = asked(over(), accept=BROWSER)
    assert "<script" not in body
    assert fields["content-security-policy"].startswith("default-src 'none'; ")
    assert re.findall(r'(?:href|src|action)="([^"]*)"', body) == [PORTAL]


def test_what_comes_from_outside_is_escaped() -> None:
    device = Device("dev-1", HOSTILE, DeviceState.APPROVED, HOSTILE)
    limit = Limit(person_target(HOSTILE), Period.ONCE, 0, 5)
    refused = Refused("cap", device, limit, 7, book_of(None)[0])
    body = asked(refused, accept=BROWSER, accept_language=HOSTILE)[2]
    assert "<script" not in body
    assert body.count("&lt;script&gt;") == 2


def test_the_head_holds_nothing_from_outside() -> None:
    device = Device("dev-1", "x\r\nSet-Cookie: a=b", DeviceState.PENDING)
    response = respond(Refused("pending", device), {"accept-language": "es\r\nX: y"}.get, PORTAL)
    assert b"Set-Cookie" not in response.partition(b"\r\n\r\n")[0]


def test_whoever_asks_for_the_head_gets_no_body() -> None:
    response = respond(over(), {}.get, PORTAL, head=True)
    assert response.endswith(b"\r\n\r\n")
    assert b"content-length: 0" not in response.lower()


def test_without_a_portal_there_is_no_link() -> None:
    body = split(respond(over(), {"accept": BROWSER}.get, None))[2]
    assert "href=" not in body


@pytest.mark.parametrize(
    ("period", "when"),
    [
        (Period.DAY, "Starts again: Tue 25 Nov, 00:00 (America/Mexico_City)"),
        (Period.WEEK, "Starts again: Mon 1 Dec, 00:00 (America/Mexico_City)"),
        (Period.MONTH, "Starts again: Mon 1 Dec, 00:00 (America/Mexico_City)"),
        (Period.TRIP, "Starts again: Does not start again by itself"),
    ],
)
def test_the_end_of_each_period_is_named(period: Period, when: str) -> None:
    assert when in asked(over(period))[2]


def test_without_a_plan_days_are_those_of_utc() -> None:
    assert "Tue 25 Nov, 00:00 (UTC)" in asked(over(plan=None))[2]


def test_the_plans_volume_is_everybodys_limit() -> None:
    book, device = book_of()
    limit = Limit(PLAN, Period.TRIP, MEXICO.starts_at or 0, 10**10)
    body = asked(Refused("cap", device, limit, 10**10, book))[2]
    assert "Whose limit: Everyone together\nLimit: 10 GB for the trip\n" in body


def test_a_program_is_told_when_to_ask_the_ledger_again() -> None:
    assert asked(Refused("ledger"))[1]["retry-after"] == "30"


@pytest.mark.parametrize(
    ("policy", "end"),
    [
        ({"until": NOON + 3600}, "Mon 24 Nov, 07:00 (America/Mexico_City)"),
        ({"until_unmetered": True}, "a connection that is not metered"),
        ({"daily": (1320, 420)}, "Every day 22:00-07:00 (America/Mexico_City)"),
        ({}, "the owner ends it"),
    ],
    ids=["an instant", "unmetered", "hours", "open"],
)
def test_a_paused_service_is_named_with_its_end(policy: dict[str, Any], end: str) -> None:
    book, device = book_of()
    made = Policy("p1", Verb.PAUSE, "cloud-sync", **policy)
    _, _, body = asked(Refused("policy", device, book=book, policy=made, service="iCloud"))
    assert f"Service: iCloud\nPaused until: {end}\n" in body


def test_a_cap_that_leaves_the_essentials_is_named() -> None:
    book, device = book_of()
    cap = Cap(device_target(device.id), Period.DAY, 500_000_000, "essentials")
    _, _, body = asked(Refused("cap", device, book=book, cap=cap))
    assert "Limit: 500 MB per day" in body
