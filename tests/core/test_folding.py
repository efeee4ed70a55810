"""Whose the bytes of a device are that is no more."""

from dataclasses import replace

from tripgate.core import book as books
from tripgate.core.book import EMPTY
from tripgate.core.folding import folds
from tripgate.core.model import FORGOTTEN

ONE, PHONE = books.add_device(EMPTY, "ip:10.0.0.2", 0, entropy="00000001", name="phone")
TWO, NEW = books.add_device(ONE, "ip:10.0.0.3", 0, entropy="00000002", name="new")


def test_a_merged_device_s_heir_is_the_one_that_it_went_into() -> None:
    assert folds(TWO, books.merge_devices(TWO, "phone", "new")) == ((NEW.id, PHONE.id),)


def test_a_forgotten_device_is_one_of_the_forgotten() -> None:
    assert folds(TWO, books.forget_device(TWO, "new")) == ((NEW.id, FORGOTTEN),)


def test_an_edit_that_keeps_all_devices_folds_nothing() -> None:
    assert folds(TWO, replace(books.rename_device(TWO, "new", "tablet"))) == ()
