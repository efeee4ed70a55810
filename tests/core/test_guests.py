"""The guest pool in the book."""

from dataclasses import replace

import pytest

from tripgate.core.book import (
    EMPTY,
    MOST_DEVICES,
    Book,
    add_device,
    block_device,
    clear_cap,
    find_device,
    set_cap,
)
from tripgate.core.guests import open_pool
from tripgate.core.model import GUESTS, DeviceState, Period, person_target

MB = 1_000_000
KEY = (person_target(GUESTS), Period.DAY)


def _met(book: Book, number: int) -> Book:
    return add_device(book, f"mac:{number}", number, entropy=f"{number:08x}")[0]


@pytest.fixture
def book() -> Book:
    return open_pool(_met(_met(EMPTY, 1), 2), 200 * MB, 5)


def test_who_waits_becomes_a_guest(book: Book) -> None:
    assert {(one.state, one.person) for one in book.devices.values()} == {
        (DeviceState.APPROVED, GUESTS)
    }


def test_all_guests_share_one_cap_a_day(book: Book) -> None:
    assert (book.caps[KEY].limit, book.caps[KEY].action) == (200 * MB, "block")


def test_opening_it_again_changes_nothing(book: Book) -> None:
    assert open_pool(book, 200 * MB, 99) == book


def test_a_blocked_guest_stays_blocked(book: Book) -> None:
    name = next(iter(book.devices))
    again = open_pool(block_device(book, name), 200 * MB, 6)
    assert find_device(again, name).state is DeviceState.BLOCKED


@pytest.mark.parametrize("limit", [None, 9 * MB], ids=["cleared", "changed"])
def test_the_setting_puts_the_cap_back(book: Book, limit: int | None) -> None:
    changed = (
        clear_cap(book, KEY[0])
        if limit is None
        else set_cap(book, replace(book.caps[KEY], limit=limit))
    )
    assert open_pool(changed, 200 * MB, 6).caps[KEY].limit == 200 * MB


def test_a_full_book_forgets_the_oldest_guest(book: Book) -> None:
    for number in range(3, MOST_DEVICES + 2):
        book = open_pool(_met(book, number), 200 * MB, number)
    assert len(book.devices) == MOST_DEVICES
    assert "mac:1" not in book.by_identity
