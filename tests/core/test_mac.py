"""MAC addresses: one form, and what one tells by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.mac import clean_mac, is_random, parse_mac, vendor


@pytest.mark.parametrize(
    "text", ["b8:27:eb:01:02:0f", "B8:27:EB:01:02:0F", "b8-27-eb-01-02-0f", "B8-27-eb-01-02-0F"]
)
def test_a_mac_has_one_form(text: str) -> None:
    assert parse_mac(text) == "b8:27:eb:01:02:0f"


@pytest.mark.parametrize(
    "text",
    [
        *("", "b8:27:eb:01:02", "b8:27:eb:01:02:0f:00", "b827eb01020f", "b8:27-eb:01:02:0f"),
        *(
            "g8:27:eb:01:02:0f",
            "b8:27:eb:01:02:0f\n",
            " b8:27:eb:01:02:0f",
            "\u06608:27:eb:01:02:0f",
        ),
        *("00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"),
    ],
)
def test_what_is_no_device_s_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"02:00:00:12:34:56$"):
        parse_mac(text)
    assert clean_mac(text) is None


@given(st.text(max_size=20))
def test_any_text_is_a_mac_in_its_form_or_none(text: str) -> None:
    mac = clean_mac(text)
    assert mac is None or parse_mac(mac) == mac


@pytest.mark.parametrize("digit", "0123456789abcdef")
def test_bit_1_of_the_first_octet_tells_a_random_mac(digit: str) -> None:
    assert is_random(f"a{digit}:00:00:00:00:01") is (digit in "2367abef")


def test_an_assigned_mac_hints_at_its_maker() -> None:
    assert vendor("b8:27:eb:00:00:01") == "Raspberry Pi"


@pytest.mark.parametrize("mac", ["ba:27:eb:00:00:01", "00:00:01:00:00:01"])
def test_a_random_or_unknown_mac_has_no_maker(mac: str) -> None:
    assert vendor(mac) is None
