"""Which language a reader gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.language import choose

AVAILABLE = ("en", "es", "zh", "fr")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("ES-mx", "es"),
        ("zh-Hans-CN", "zh"),
        ("de, es", "es"),
        ("fr;q=0.4, es;q=0.8", "es"),
        ("fr, es", "fr"),
        ("es;q=0", "en"),
        ("es;q=0.001", "es"),
        ("*", "en"),
        ("*;q=0.5, fr;q=0.1", "fr"),
        ("es;q=2, fr;q=0.1", "fr"),
        ("es;level=1", "en"),
        ("../es", "en"),
        (" es ; q=0.9 ,fr;q=0.8", "es"),
        ("x" * 2000 + ", es", "en"),
        ("de," * 40 + "es", "en"),
    ],
)
def test_the_reader_gets_what_suits_best(header: str, language: str) -> None:
    assert choose(header, AVAILABLE) == language


@given(st.text(max_size=200))
def test_any_header_gives_a_language_that_there_is(header: str) -> None:
    assert choose(header, AVAILABLE) in AVAILABLE
