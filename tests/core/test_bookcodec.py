"""The book as text: what this program wrote is read again, anything else is refused."""

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_book import cap, family
from tripgate.core import book
from tripgate.core.book import EMPTY, BookError
from tripgate.core.bookcodec import SCHEMA, NewerBook, dump, load
from tripgate.core.model import Period, Plan

FULL = book.set_plan(
    cap(cap(cap(family(), "phone", Period.ONCE), "person:ana"), "plan", Period.TRIP),
    Plan(
        volume=10**10,
        valid_s=86_400,
        starts_at=5,
        price="25 USD",
        tz="America/Cancun",
        counts_from=3,
    ),
)


@pytest.mark.parametrize("made", [EMPTY, family(), FULL], ids=["empty", "family", "full"])
def test_what_was_written_is_read_again(made: book.Book) -> None:
    assert load(dump(made)) == made


def test_no_text_is_an_empty_book() -> None:
    assert load("") == EMPTY


def test_every_field_of_a_device_is_kept() -> None:
    phone = book.find_device(FULL, "phone")
    (written,) = (one for one in json.loads(dump(FULL))["devices"] if one["name"] == "phone")
    assert set(written) == {field.name for field in dataclasses.fields(phone)}
    assert written["slot"] == phone.slot


def spoiled(*path: Any, value: Any) -> str:
    """The full book with one value replaced."""
    document = json.loads(dump(FULL))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document)


SPOILED = {
    "not JSON": "{",
    "not an object": "[]",
    "a number": "5",
    "deep nesting": "[" * 100_000,
    "too large": dump(EMPTY) + " " * 2**20,
    "an unknown key": spoiled("more", value=1),
    "a name of a number": spoiled("devices", 0, "name", value=5),
    "a slot of text": spoiled("devices", 0, "slot", value="2"),
    "a slot twice": spoiled("devices", 0, "slot", value=3),
    "a slot of the gateway's": spoiled("devices", 0, "slot", value=1),
    "an unknown state": spoiled("devices", 0, "state", value="free"),
    "identities of numbers": spoiled("devices", 0, "identities", value=[5]),
    "an identity twice": spoiled("devices", 0, "identities", value=["ip:10.0.0.1"]),
    "an owner who is not there": spoiled("devices", 0, "person", value="ben"),
    "a device without a field": spoiled("devices", 0, value={"id": "x"}),
    "a limit of text": spoiled("caps", 0, "limit", value="100"),
    "a limit that is true": spoiled("caps", 0, "limit", value=True),
    "a negative limit": spoiled("caps", 0, "limit", value=-1),
    "an unknown period": spoiled("caps", 0, "period", value="year"),
    "a cap on nobody": spoiled("caps", 0, "target", value={"kind": "device", "key": "dev-9"}),
    "a cap on no kind": spoiled("caps", 0, "target", value={"kind": "all", "key": ""}),
    "a warning of text": spoiled("caps", 0, "warn", value=["50"]),
    "a plan in no zone": spoiled("plan", "tz", value="Mars/Olympus"),
    "a plan that is a list": spoiled("plan", value=[1]),
    "schema of text": spoiled("schema", value="1"),
}


@pytest.mark.parametrize("text", SPOILED.values(), ids=SPOILED.keys())
def test_a_damaged_book_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BookError, match="the stored settings are damaged") as caught:
        load(text)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_newer_book_is_refused_as_such() -> None:
    with pytest.raises(NewerBook, match="written by a newer tripgate"):
        load(spoiled("schema", value=SCHEMA + 1))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["schema", "devices", "people", "caps", "plan"]),
)
def test_no_document_makes_it_fail_otherwise(value: Any, key: str) -> None:
    with contextlib.suppress(BookError):
        load(spoiled(key, value=value))
