"""Host names of DHCP."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.hostname import clean_hostname


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("marias-phone", "marias-phone"),
        ("DESKTOP-7AB", "desktop-7ab"),
        ("pi.home.arpa", "pi"),
        ("a" * 32, "a" * 32),
        ("x", "x"),
    ],
)
def test_a_plain_name_is_taken(raw: str, name: str) -> None:
    assert clean_hostname(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        *("", "*", "a b", "-a", "a-", "a" * 33, "a_b", "$(reboot)", "a;b", "<b>x</b>", "a\nb"),
        *("a\n", "müller", "a\x1b[2J", "\u202eabc", "localhost", "Android.lan", "x." + "y" * 300),
        *("\u212aelvin", "../etc"),
    ],
)
def test_anything_else_is_no_name(raw: str) -> None:
    assert clean_hostname(raw) is None


@given(st.text(max_size=300))
def test_no_text_gets_through_unclean(raw: str) -> None:
    name = clean_hostname(raw)
    assert name is None or re.fullmatch(r"[a-z0-9-]{1,32}", name)
