"""Owner devices in the book."""

import pytest

from tripgate.core import bookcodec
from tripgate.core.book import (
    EMPTY,
    Book,
    BookError,
    add_device,
    block_device,
    claim_device,
    has_owner,
    merge_devices,
)
from tripgate.core.model import DeviceState


def two() -> Book:
    book, _ = add_device(EMPTY, "ip:10.0.0.2", 0, entropy="00000001", name="phone")
    return add_device(book, "ip:10.0.0.3", 0, entropy="00000002", name="tablet")[0]


def named(book: Book, name: str):  # type: ignore[no-untyped-def]
    return next(one for one in book.devices.values() if one.name == name)


def test_a_new_book_has_no_owner() -> None:
    assert not has_owner(two())


def test_a_claimed_device_is_let_in_and_manages() -> None:
    book = claim_device(two(), "phone")
    phone = named(book, "phone")
    assert (phone.state, phone.owner, phone.manages) == (DeviceState.APPROVED, True, True)
    assert has_owner(book)


def test_a_blocked_device_cannot_be_claimed() -> None:
    with pytest.raises(BookError, match="is blocked"):
        claim_device(block_device(two(), "phone"), "phone")


def test_a_blocked_owner_manages_nothing() -> None:
    book = block_device(claim_device(two(), "phone"), "phone")
    assert not named(book, "phone").manages


@pytest.mark.parametrize("claimed", ["phone", "tablet"])
def test_a_merged_device_stays_the_owners(claimed: str) -> None:
    book = merge_devices(claim_device(two(), claimed), "phone", "tablet")
    assert named(book, "phone").owner


def test_an_owner_is_an_owner_after_a_restart() -> None:
    book = claim_device(two(), "phone")
    assert bookcodec.load(bookcodec.dump(book)) == book


@pytest.mark.parametrize("value", ["1", '"yes"', "null"])
def test_an_owner_that_is_neither_true_nor_false_is_damage(value: str) -> None:
    text = bookcodec.dump(two()).replace('"owner":false', f'"owner":{value}', 1)
    with pytest.raises(BookError, match="owner of a device"):
        bookcodec.load(text)
