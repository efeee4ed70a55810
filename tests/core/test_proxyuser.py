"""Credentials: what is read of a header, what fits, and what the book keeps."""

import base64

import pytest

from tripgate.core import bookcodec, proxyuser
from tripgate.core.book import (
    EMPTY,
    BookError,
    add_device,
    device_by_identity,
    find_device,
    forget_device,
    merge_devices,
    proxy_user,
    rename_device,
    set_proxy_user,
)
from tripgate.core.model import DeviceState

DIGEST = proxyuser.digest("secret")
ENTROPY = "0" * 32


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic(b"phone:secret"), ("phone", "secret")),
        (basic(b"phone:a:b"), ("phone", "a:b")),
        ("bAsIc  " + base64.b64encode(b"a:").decode(), ("a", "")),
    ],
)
def test_basic_credentials_are_read(header: str, expected: tuple[str, str]) -> None:
    assert proxyuser.parse_basic(header) == expected


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Bearer abc", "Basic ???", basic(b"no colon"), basic(b"\xff:\xff"),
     basic(b"a:" + b"x" * proxyuser.HEADER_MOST)],
)  # fmt: skip
def test_anything_else_is_refused_without_its_text(header: str) -> None:
    with pytest.raises(ValueError) as refused:
        proxyuser.parse_basic(header)
    assert header.partition(" ")[2][:8] not in str(refused.value) or not header.partition(" ")[2]


@pytest.mark.parametrize(
    ("secret", "stored", "expected"),
    [("secret", DIGEST, True), ("Secret", DIGEST, False), ("", "", False), ("", None, False),
     (DIGEST, DIGEST, False)],
)  # fmt: skip
def test_only_the_secret_itself_fits(secret: str, stored: str | None, expected: bool) -> None:
    assert proxyuser.fits(secret, stored) is expected


def test_a_new_name_is_a_new_device_that_is_approved() -> None:
    book = set_proxy_user(EMPTY, "phone", DIGEST, 5, entropy=ENTROPY)
    device = device_by_identity(book, "user:phone")
    assert device is not None
    assert (device.name, device.state) == ("phone", DeviceState.APPROVED)


def test_a_device_that_is_there_keeps_its_state_and_its_other_identities() -> None:
    book, device = add_device(EMPTY, "ip:10.0.0.2", 5, entropy=ENTROPY)
    found = find_device(set_proxy_user(book, device.id, DIGEST, 6, entropy=ENTROPY), device.id)
    assert found.state is DeviceState.PENDING
    assert found.identities == ("ip:10.0.0.2", f"user:{device.id}")


def test_another_secret_takes_the_place_of_the_first() -> None:
    book = set_proxy_user(EMPTY, "phone", DIGEST, 5, entropy=ENTROPY)
    book = set_proxy_user(book, "phone", "other", 6, entropy=ENTROPY)
    (device,) = book.devices.values()
    assert (device.identities, device.proxy_secret) == (("user:phone",), "other")


def test_the_user_keeps_its_name_when_the_device_gets_another() -> None:
    book = set_proxy_user(EMPTY, "phone", DIGEST, 5, entropy=ENTROPY)
    book = set_proxy_user(rename_device(book, "phone", "new"), "new", DIGEST, 6, entropy=ENTROPY)
    assert proxy_user(find_device(book, "new")) == "phone"


def test_two_devices_have_no_user_in_common() -> None:
    book = set_proxy_user(EMPTY, "phone", DIGEST, 5, entropy=ENTROPY)
    book = rename_device(book, "phone", "old")
    book, device = add_device(book, "ip:10.0.0.2", 5, entropy=ENTROPY, name="phone")
    with pytest.raises(BookError, match="rename this one"):
        set_proxy_user(book, device.id, DIGEST, 6, entropy=ENTROPY)


def test_a_device_that_is_forgotten_takes_its_credentials_along() -> None:
    book = forget_device(set_proxy_user(EMPTY, "phone", DIGEST, 5, entropy=ENTROPY), "phone")
    assert device_by_identity(book, "user:phone") is None


def test_a_merged_device_keeps_the_credentials_of_either() -> None:
    book, old = add_device(EMPTY, "ip:10.0.0.2", 5, entropy=ENTROPY)
    book = merge_devices(set_proxy_user(book, "phone", DIGEST, 5, entropy=ENTROPY), old.id, "phone")
    assert find_device(book, old.id).proxy_secret == DIGEST


@pytest.mark.parametrize("name", ["Phone", "a b", "", "a:b", "x" * 33])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BookError):
        set_proxy_user(EMPTY, name, DIGEST, 5, entropy=ENTROPY)


def test_the_book_keeps_the_digest_and_reads_books_that_have_none() -> None:
    book = set_proxy_user(EMPTY, "phone", DIGEST, 5, entropy=ENTROPY)
    text = bookcodec.dump(book)
    assert bookcodec.load(text) == book
    before = bookcodec.load(text.replace(f',"proxy_secret":"{DIGEST}"', "").replace("4", "2", 1))
    assert find_device(before, "phone").proxy_secret is None
