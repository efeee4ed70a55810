"""Offers: read strictly, or refused with the offer's name and what to do."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.offers import KEYS, MOST, Offer, OfferError, offers

GB = 10**9
MINIMAL = {"name": "Month 10", "volume": "10GB", "price": "22.50 USD"}
FULL = {
    **MINIMAL, "valid": "30d", "step": "10kB", "top-up": "5GB", "top-up-price": "11 USD",
}  # fmt: skip
UNLIMITED = {**MINIMAL, "volume": "unlimited", "fair-use": "2GB/day"}


def test_an_offer_is_read_with_all_its_parts() -> None:
    (made,) = offers([FULL])
    assert made == Offer(
        *("Month 10", 10 * GB, Decimal("22.50"), "USD"),
        *(None, 30 * 86_400, 10_000, 5 * GB, Decimal(11)),
    )


def test_an_unlimited_one_has_a_fair_use() -> None:
    (made,) = offers([UNLIMITED])
    assert (made.volume, made.fair_use, made.valid_s, made.step) == (None, 2 * GB, None, 1)


def test_an_empty_cell_is_as_none() -> None:
    assert offers([dict.fromkeys(KEYS, "") | MINIMAL]) == offers([MINIMAL])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("x", "offer 1 is no table: write [[offer]]"),
        ({}, "offer 1: name is missing: every offer needs name, volume, price"),
        ({"name": "A"}, "offer 1 'A': volume is missing: every offer needs name, volume, price"),
        (MINIMAL | {"prize": "1"}, "offer 1 'Month 10': 'prize' is unknown: use name, volume, "),
        (MINIMAL | {"price": 22}, "offer 1 'Month 10': price is no text: write it as \"…\""),
        (MINIMAL | {"price": "22"}, "price: '22' is no price: write \"25 USD\""),
        (MINIMAL | {"price": "-1 USD"}, "price: '-1 USD' is no price"),
        (MINIMAL | {"price": "1.234 USD"}, "is no price"),
        (MINIMAL | {"price": "NaN USD"}, "is no price"),
        (MINIMAL | {"volume": "10"}, "volume: '10' is not a volume: write 500MB"),
        (MINIMAL | {"valid": "1 month"}, "valid: '1 month' is not a duration: write 30m"),
        (MINIMAL | {"step": "0kB"}, "step: '0kB' is out of range"),
        (MINIMAL | {"name": "a\nb"}, "is no name: write at most 60 letters"),
        (MINIMAL | {"name": "n" * 61}, "is no name"),
        (MINIMAL | {"top-up": "1GB"}, "top-up and top-up-price go together"),
        (MINIMAL | {"top-up-price": "1 USD"}, "top-up and top-up-price go together"),
        (FULL | {"top-up-price": "1 EUR"}, "top-up-price is in EUR: write it in USD"),
        (MINIMAL | {"fair-use": "1GB/day"}, 'fair-use goes with volume = "unlimited" only'),
        (UNLIMITED | {"fair-use": "1GB"}, "fair-use: '1GB' is not a cap"),
        (UNLIMITED | {"fair-use": "1GB/week"}, "write it as 2GB/day"),
        (UNLIMITED | {"top-up": "1GB", "top-up-price": "1 USD"}, "needs no top-up"),
    ],
)
def test_anything_else_names_the_offer_and_what_to_do(row: Any, said: str) -> None:
    with pytest.raises(OfferError) as caught:
        offers([row])
    assert said in str(caught.value)
    assert str(caught.value).startswith("offer 1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "there is no offer"),
        ([MINIMAL, MINIMAL], "two offers are called 'Month 10'"),
        ([MINIMAL, MINIMAL | {"name": "B", "price": "1 EUR"}], "prices are in EUR and USD"),
        ([MINIMAL | {"name": str(n)} for n in range(MOST + 1)], f"more than {MOST} offers"),
    ],
)
def test_a_list_that_cannot_be_compared_is_refused(rows: list[Any], said: str) -> None:
    with pytest.raises(OfferError, match=said):
        offers(rows)


VALUES = st.sampled_from(["10GB", "unlimited", "1 USD", "2GB/day", "30d", "", "x"]) | st.integers()


@given(st.lists(st.dictionaries(st.sampled_from([*KEYS, "more"]), VALUES), max_size=3))
def test_no_rows_make_it_fail_otherwise(rows: list[Any]) -> None:
    with contextlib.suppress(OfferError):
        offers(rows)
