"""Channels and what was told: bounded, found by id, kept in the book as it is."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tripgate.core import bookcodec
from tripgate.core.book import EMPTY, BookError
from tripgate.core.messages import (
    MOST_CHANNELS,
    MOST_TOLD,
    NONE,
    Channel,
    ChannelError,
    Messages,
    Told,
    add_channel,
    remove_channel,
    tell,
)

KEY = "0123456789abcdef"
ONE = Channel("", KEY, "webhook", "https://h.example/…", 5)


def test_channels_get_the_first_free_id() -> None:
    two = add_channel(add_channel(NONE, ONE), ONE)
    assert [one.id for one in two.channels] == ["n1", "n2"]
    assert [one.id for one in add_channel(remove_channel(two, "n1"), ONE).channels] == ["n2", "n1"]


def test_there_are_so_many_channels_and_no_more() -> None:
    made = NONE
    for _ in range(MOST_CHANNELS):
        made = add_channel(made, ONE)
    with pytest.raises(ChannelError, match="notify remove"):
        add_channel(made, ONE)


def test_what_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(ChannelError, match="notify list"):
        remove_channel(NONE, "n1")


def test_with_the_last_channel_goes_what_was_told() -> None:
    made = tell(add_channel(NONE, ONE), {"a"}, {"a"}, 1)
    assert remove_channel(made, "n1") == NONE


def test_what_holds_is_remembered_and_of_the_past_the_newest() -> None:
    holding = {f"h{n}" for n in range(MOST_TOLD + 50)}
    made = tell(NONE, holding, holding, 1)
    for n in range(MOST_TOLD + 50):
        made = tell(made, {f"p{n}"}, holding | {f"p{n}"}, 2 + n)
    keys = {one.key for one in made.told}
    assert holding <= keys
    assert f"p{MOST_TOLD + 49}" in keys and "p0" not in keys
    assert len(keys) <= len(holding) + MOST_TOLD + 1


FULL = replace(EMPTY, messages=Messages((replace(ONE, id="n1"),), (Told("cap:x", 7),)))


def test_the_book_keeps_them() -> None:
    assert bookcodec.load(bookcodec.dump(FULL)) == FULL


def test_a_book_of_before_has_none() -> None:
    document = json.loads(bookcodec.dump(EMPTY)) | {"schema": 2}
    del document["messages"]
    assert bookcodec.load(json.dumps(document)) == EMPTY


@pytest.mark.parametrize(
    "change",
    [
        {"key": "../../etc/passwd"}, {"key": KEY + "\n"}, {"key": ""}, {"id": 5}, {"more": 1},
    ],
)  # fmt: skip
def test_a_damaged_channel_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(bookcodec.dump(FULL))
    document["messages"]["channels"][0] |= change
    with pytest.raises(BookError, match="damaged"):
        bookcodec.load(json.dumps(document))


def test_two_channels_of_one_id_are_refused() -> None:
    document = json.loads(bookcodec.dump(FULL))
    document["messages"]["channels"] *= 2
    with pytest.raises(BookError, match="damaged"):
        bookcodec.load(json.dumps(document))
