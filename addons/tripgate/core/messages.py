"""Messages in the book: where they go, and which events were told already.

Rules
1. A channel's URL is a secret and is not in the book: ``key`` names the file of the state folder
   that holds it, ``where`` is what may be shown of it.
2. An event has a key. Once told it is not told again, by whoever looks after a restart: the book
   remembers it for as long as it holds, and the last ``MOST_TOLD`` beyond that.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

MOST_CHANNELS = 8
MOST_TOLD = 200
KEY = re.compile(r"[0-9a-f]{16}")


class ChannelError(ValueError):
    """Cannot be done; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Channel:
    """``kind``: ``webhook``, ``ntfy`` or ``telegram``; ``where`` has no secret in it."""

    id: str
    key: str
    kind: str
    where: str
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """The event of this key was told ``at`` (epoch seconds)."""

    key: str
    at: int


@dataclass(frozen=True, slots=True)
class Messages:
    """The book's part of this."""

    channels: tuple[Channel, ...] = ()
    told: tuple[Told, ...] = ()


NONE = Messages()


def add_channel(now: Messages, channel: Channel) -> Messages:
    """Add one, under the first free id. Raises :class:`ChannelError`."""
    if len(now.channels) >= MOST_CHANNELS:
        raise ChannelError(f"there are {MOST_CHANNELS} channels: `tripgate notify remove ID` first")
    taken = {one.id for one in now.channels}
    free = next(f"n{n}" for n in range(1, MOST_CHANNELS + 1) if f"n{n}" not in taken)
    return replace(now, channels=(*now.channels, replace(channel, id=free)))


def find_channel(now: Messages, channel_id: str) -> Channel:
    """Raises :class:`ChannelError`."""
    for one in now.channels:
        if one.id == channel_id:
            return one
    raise ChannelError(f"no channel {channel_id[:40]!r}: `tripgate notify list` shows them")


def remove_channel(now: Messages, channel_id: str) -> Messages:
    """Raises :class:`ChannelError`. With the last one goes what was told."""
    gone = find_channel(now, channel_id)
    kept = tuple(one for one in now.channels if one != gone)
    return replace(now, channels=kept, told=now.told if kept else ())


def tell(now: Messages, keys: Collection[str], holding: Collection[str], at: int) -> Messages:
    """Remember ``keys`` as told; ``holding``: those of all events that hold now (rule 2)."""
    before = [one for one in now.told if one.key not in keys]
    past = [one for one in before if one.key not in holding][-MOST_TOLD:]
    kept = [one for one in before if one.key in holding]
    return replace(now, told=(*past, *kept, *(Told(key, at) for key in sorted(keys))))


def checked(now: Messages) -> Messages:
    """What was read from the book is as it must be. Raises ``ValueError``."""
    if len({one.id for one in now.channels}) != len(now.channels):
        raise ValueError("one id is two channels'")
    if not all(KEY.fullmatch(one.key) for one in now.channels):
        raise ValueError("a channel's key is none")
    return now
