"""Unmetered uplinks: named one by one, and metered in case of doubt."""

import pytest

from tripgate.core import bookcodec
from tripgate.core.book import EMPTY, Book, BookError
from tripgate.core.uplinks import MOST, set_unmetered, unmetered

HOTEL = set_unmetered(EMPTY, "wlan1", True)


@pytest.mark.parametrize(
    ("book", "used", "free"),
    [
        (EMPTY, ("wlan1",), False),
        (HOTEL, ("wlan1",), True),
        (HOTEL, ("wwan0",), False),
        (HOTEL, ("wlan1", "wwan0"), False),
        (HOTEL, (), False),
        (set_unmetered(HOTEL, "eth0", True), ("wlan1", "eth0"), True),
        (set_unmetered(HOTEL, "wlan1", False), ("wlan1",), False),
    ],
)
def test_it_is_free_while_all_uplinks_in_use_are(
    book: Book, used: tuple[str, ...], free: bool
) -> None:
    assert unmetered(book, used) == free


def test_saying_it_twice_is_saying_it_once() -> None:
    assert set_unmetered(HOTEL, "wlan1", True) == HOTEL


@pytest.mark.parametrize("name", ["", "a b", "wlan1;reboot", "x" * 16, "-wlan", "wlan\n"])
def test_what_is_no_interface_is_refused(name: str) -> None:
    with pytest.raises(BookError, match="no uplink"):
        set_unmetered(EMPTY, name, True)


def test_their_number_is_bounded() -> None:
    book = EMPTY
    for number in range(MOST):
        book = set_unmetered(book, f"eth{number}", True)
    with pytest.raises(BookError, match="set one metered first"):
        set_unmetered(book, "wlan1", True)


def test_the_book_keeps_them() -> None:
    assert bookcodec.load(bookcodec.dump(HOTEL)) == HOTEL
