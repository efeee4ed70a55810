"""The carrier's readings: kept as they were typed, sure to half of their last digit."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import bookcodec
from tripgate.core.book import EMPTY, Book, BookError
from tripgate.core.statement import (
    MOST,
    Statement,
    dump,
    load,
    of_trip,
    parse_said,
    with_statement,
)
from tripgate.core.units import UnitError

MB, GB = 10**6, 10**9
UNITS = ("B", "kB", "MB", "GB", "KiB", "MiB", "GiB")


def statement(text: str = "1.2GB", counted: int = 1_200 * MB, **changed: Any) -> Statement:
    made = Statement(1_000, text, counted, 0, 0, 500, 1_000, True)
    return dataclasses.replace(made, **changed)


@pytest.mark.parametrize(
    ("text", "said", "within"),
    [
        ("1.2GB", 1_200 * MB, 50 * MB),
        ("1.2 GB", 1_200 * MB, 50 * MB),
        ("1.20GB", 1_200 * MB, 5 * MB),
        ("1GB", GB, 500 * MB),
        ("980MB", 980 * MB, MB // 2),
        ("1.5GiB", 3 * 2**29, 2**30 // 20),
        ("1000000B", MB, 0),
        ("1.13GiB", 1_213_328_261, 2**30 // 200),
        ("0MB", 0, MB // 2),
        ("0.00 GB", 0, 5 * MB),
    ],
)
def test_a_reading_is_sure_to_half_of_its_last_digit(text: str, said: int, within: int) -> None:
    made = statement(text)
    assert (made.said, made.within) == (said, within)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1,2GB", "-1GB", "0", "0XB", "1001TB", "1.2345GB", "1GB\n", "1\tGB", "\u0661GB"),
        "0GB" * 9,
    ],
)
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="write "):
        parse_said(text)


@given(st.integers(0, 10**5), st.integers(0, 3), st.sampled_from(UNITS[1:]))
def test_no_other_text_of_as_many_digits_is_nearer(digits: int, places: int, unit: str) -> None:
    def text(number: int) -> str:
        whole = f"{number:0{places + 1}d}"
        return f"{whole[:-places]}.{whole[-places:]}{unit}" if places else f"{whole}{unit}"

    one, following = statement(text(digits)), statement(text(digits + 1))
    assert abs(following.said - one.said - 2 * one.within) <= 2


@pytest.mark.parametrize(("text", "factor"), [("1kB", 1.024), ("1MiB", 1.048576), ("1B", None)])
def test_it_knows_how_far_its_unit_may_be_misread(text: str, factor: float | None) -> None:
    assert statement(text).factor == factor


def test_the_same_time_replaces_the_reading_before() -> None:
    kept = with_statement((statement("1.2GB"),), statement("1.3GB"))
    assert [one.text for one in kept] == ["1.3GB"]


def test_readings_are_in_the_order_of_their_times() -> None:
    kept = with_statement((statement(at=2_000),), statement(at=1_500))
    assert [one.at for one in kept] == [1_500, 2_000]


def test_readings_of_earlier_plans_make_room_first() -> None:
    kept: tuple[Statement, ...] = (statement(at=9_000, trip=100),)
    for at in range(5):
        kept = with_statement(kept, statement(at=600 + at), most=3)
    assert [(one.trip, one.at) for one in kept] == [(500, 602), (500, 603), (500, 604)]


def test_a_book_holds_a_thousand_readings_and_fits() -> None:
    kept: tuple[Statement, ...] = ()
    for at in range(MOST + 5):
        kept = with_statement(kept, statement("999.999 GiB", 10**15 - 1, at=1_800_000_000 + at))
    assert len(kept) == MOST
    text = bookcodec.dump(Book(statements=kept))
    assert len(text) < bookcodec.MOST_BYTES // 8
    assert bookcodec.load(text).statements == kept


def test_those_of_one_plan_are_apart_from_the_others() -> None:
    kept = (statement(at=3, trip=1), statement(at=9, trip=7), statement(at=2, trip=1))
    assert [one.at for one in of_trip(kept, 1)] == [2, 3]


def test_a_book_of_before_has_no_readings() -> None:
    document = json.loads(bookcodec.dump(EMPTY)) | {"schema": 2}
    del document["statements"]
    assert bookcodec.load(json.dumps(document)) == EMPTY


@given(
    st.builds(
        Statement,
        *(st.integers(0, 2**53 - 1), st.sampled_from(["1GB", "0 MB", "1.25 GiB"])),
        *(st.integers(0, 2**53 - 1),) * 5,
        st.booleans(),
    )
)
def test_what_was_written_is_read_again(made: Statement) -> None:
    assert load(json.loads(json.dumps(dump(made)))) == made


GOOD = dump(statement())


@pytest.mark.parametrize(
    "raw",
    [
        None, {}, GOOD[:-1], [*GOOD, 1], [True, *GOOD[1:]], [*GOOD[:-1], 1],
        [-1, *GOOD[1:]], [2**53, *GOOD[1:]], [GOOD[0], "much", *GOOD[2:]],
    ],
)  # fmt: skip
def test_a_damaged_reading_makes_a_damaged_book(raw: Any) -> None:
    document = json.loads(bookcodec.dump(EMPTY)) | {"statements": [raw]}
    with pytest.raises(BookError, match="the stored settings are damaged"):
        bookcodec.load(json.dumps(document))


@pytest.mark.parametrize("raw", [None, {}, "x", [GOOD] * (MOST + 1)])
def test_what_is_no_list_of_readings_or_too_long_is_refused(raw: Any) -> None:
    document = json.loads(bookcodec.dump(EMPTY)) | {"statements": raw}
    with pytest.raises(BookError, match="readings"):
        bookcodec.load(json.dumps(document))
