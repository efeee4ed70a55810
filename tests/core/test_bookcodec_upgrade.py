"""The book as text: everything comes back, nothing else is read, older books get the defaults."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.core.test_limits_soft import BOOK, PHONE
from tripgate.core import bookcodec
from tripgate.core.book import BookError, set_cap
from tripgate.core.model import PLAN, Cap, Credit, Period, Plan, Request, Warned
from tripgate.core.policy import Policy, Verb

FULL = replace(
    set_cap(BOOK, Cap(PHONE, Period.DAY, 10, "throttle", (50,), 1, 64_000, free=(60, 360))),
    plan=Plan(volume=1),
    policies=(Policy("p1", Verb.PAUSE, "video", PHONE, None, 5, True, (1, 2), "travel", 3),),
    credits=(Credit(PLAN, -5, 1),),
    requests=(Request("r1", PHONE, 5, 1, "please", "no"),),
    warned=(Warned(PHONE, Period.DAY, 5, 80),),
    queue=(Plan(volume=2, start="next"),),
    unmetered=("wlan1",),
)


def test_everything_comes_back() -> None:
    assert bookcodec.load(bookcodec.dump(FULL)) == FULL


def test_a_book_of_schema_1_is_read_with_the_defaults() -> None:
    document = json.loads(bookcodec.dump(FULL))
    old: dict[str, Any] = {**document, "schema": 1}
    for key in ("policies", "credits", "requests", "queue", "warned", "unmetered"):
        del old[key]
    old["caps"] = [
        {key: cap[key] for key in ("target", "period", "limit", "action", "warn", "created_at")}
        for cap in document["caps"]
    ]
    read = bookcodec.load(json.dumps(old))
    assert (read.policies, read.credits, read.requests) == ((), (), ())
    assert read.caps[PHONE, Period.DAY].rate is None
    assert read.devices == FULL.devices


def test_the_first_books_of_schema_2_are_read_with_the_defaults() -> None:
    document = {**json.loads(bookcodec.dump(FULL)), "schema": 2}
    for key in ("unmetered", "login", "last_slot", "uplink_plans"):
        del document[key]
    for plan in (document["plan"], document["queue"][0]):
        del plan["uplink"], plan["counts_from"], plan["carried"]
    del document["credits"][0]["replaced"], document["devices"][0]["proxy_secret"]
    read = bookcodec.load(json.dumps(document))
    assert read == replace(FULL, unmetered=(), last_slot=0)


@pytest.mark.parametrize("key", ["unmetered", "login", "uplink_plans"])
def test_a_book_of_this_schema_that_lacks_something_is_damaged(key: str) -> None:
    document = json.loads(bookcodec.dump(FULL))
    del document[key]
    with pytest.raises(BookError, match="damaged"):
        bookcodec.load(json.dumps(document))


def test_a_book_of_schema_3_knew_of_no_change_of_zone() -> None:
    document = {**json.loads(bookcodec.dump(FULL)), "schema": 3}
    for plan in (document["plan"], *document["queue"], *document["uplink_plans"]):
        del plan["carried"]
    assert bookcodec.load(json.dumps(document)) == FULL


def test_what_a_change_of_zone_has_carried_comes_back() -> None:
    book = replace(FULL, plan=Plan(tz="Asia/Tokyo", carried=(4, 3, 2, 1)))
    assert bookcodec.load(bookcodec.dump(book)) == book
    damaged = json.loads(bookcodec.dump(book))
    damaged["plan"]["carried"] = [4, 3]
    with pytest.raises(BookError, match="damaged"):
        bookcodec.load(json.dumps(damaged))


def test_books_of_this_program_are_of_another_schema_than_those_without_plans_of_uplinks() -> None:
    assert json.loads(bookcodec.dump(FULL))["schema"] == 4


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("policies", 0, "verb"), "explode"),
        (("policies", 0, "daily"), [0, 1440]),
        (("policies", 0, "daily"), [0]),
        (("policies", 0, "until"), "soon"),
        (("policies", 0, "extra"), 1),
        (("credits", 0, "volume"), "5"),
        (("requests", 0, "target"), {"kind": "nobody", "key": ""}),
        (("caps", 0, "free"), [-1, 3]),
        (("caps", 0, "rate"), "fast"),
    ],
)
def test_what_this_program_did_not_write_is_refused(where: Any, value: object) -> None:
    document = json.loads(bookcodec.dump(FULL))
    part, index, key = where
    document[part][index][key] = value
    with pytest.raises(BookError):
        bookcodec.load(json.dumps(document))


def test_a_newer_book_is_left_alone() -> None:
    document = json.loads(bookcodec.dump(FULL))
    with pytest.raises(bookcodec.NewerBook):
        bookcodec.load(json.dumps({**document, "schema": bookcodec.SCHEMA + 1}))
