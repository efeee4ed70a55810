"""The one-time code: its form, its comparison, its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.claimcode import TRIES, ClaimCode, dump, load, make

CODE = ClaimCode("0AB1-XYZ9")


def test_forty_bits_make_eight_letters() -> None:
    assert make(0).code == "0000-0000"
    assert make((1 << 40) - 1).code == "ZZZZ-ZZZZ"
    assert make(1).code == "0000-0001"


@given(st.integers(0, (1 << 40) - 1))
def test_every_code_matches_itself_and_comes_back_from_its_text(entropy: int) -> None:
    code = make(entropy)
    assert code.matches(code.code)
    assert load(dump(code)) == code


@pytest.mark.parametrize("typed", ["0ab1-xyz9", "0AB1XYZ9", " OABI xyz9 ", "oabl-XYZ9"])
def test_what_reads_alike_is_alike(typed: str) -> None:
    assert CODE.matches(typed)


@pytest.mark.parametrize("typed", ["", "0AB1-XYZ", "0AB1-XYZ99", "1AB1-XYZ9", "é" * 8, "x" * 99])
def test_anything_else_does_not_match(typed: str) -> None:
    assert not CODE.matches(typed)


def test_a_code_without_tries_matches_nothing() -> None:
    assert not ClaimCode(CODE.code, 0).matches(CODE.code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"code": "0AB1-XYZ9"}',
        '{"code": 7, "left": 3}',
        '{"code": "0AB1-XYZ9", "left": true}',
        '{"code": "0AB1-XYZ9", "left": 1000}',
        '{"code": "", "left": 3}',
        '{"code": "IIII-OOOO", "left": 3}',
        "[" * 100_000,
    ],
)
def test_a_damaged_text_is_no_code(text: str) -> None:
    assert load(text) is None


def test_a_new_code_has_all_its_tries() -> None:
    assert make(5).left == TRIES
