"""What an owner should hear of: which events hold now, by the book and its counters.

Rules
1. The key of an event says which one it is, its period and its limit included: a new day, a raised
   limit or another plan is another event.
2. Of a cap that is used up the warnings before it are not told any more; of the plan's levels only
   the highest is.
3. What depends on a date is not told while the clock is not trusted.
4. A drain is big from ``drain.BIG`` bytes on, and told once a day for each device and service; a
   guess is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tripgate.core.book import Book, target_label
from tripgate.core.classify import slug
from tripgate.core.drain import BIG, Drain, pause_command
from tripgate.core.model import CapState, DeviceState, Period
from tripgate.core.units import format_volume

LEVELS = (80, 95, 100)
"""Percent of the plan's volume."""
SOON_S = 86_400


@dataclass(frozen=True, slots=True)
class Event:
    """``kind`` is for programs, ``text`` one line for people."""

    key: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known at one instant. ``plan_used`` of ``plan_volume`` (what was given included);
    ``unattributed``: bytes of the last hour if they are alarming, else 0."""

    book: Book
    caps: Sequence[CapState]
    starts: Mapping[Period, int]
    now: int
    trusted: bool = True
    plan_used: int = 0
    plan_volume: int | None = None
    drains: Sequence[Drain] = ()
    unattributed: int = 0


def holding(seen: Outlook) -> list[Event]:
    """All that holds now, told or not."""
    return [*_caps(seen), *_plan(seen), *_pending(seen), *_drains(seen), *_nobodys(seen)]


def _caps(seen: Outlook) -> Iterator[Event]:
    warned = {(one.target, one.period): one for one in seen.book.warned}
    for state in seen.caps:
        cap = state.cap
        start = seen.starts.get(cap.period, cap.created_at)
        name = f"the {cap.period} cap of {target_label(seen.book, cap.target)}"
        place = f"{cap.target}:{cap.period}:{start}"
        told = warned.get((cap.target, cap.period))
        if state.spent:
            key = f"cap:{place}:{state.limit}"
            yield Event(key, "cap-reached", f"{name} is used up ({format_volume(state.limit)})")
        elif told and told.start == start:
            left = f"{format_volume(state.remaining)} left"
            key = f"warn:{place}:{told.level}"
            yield Event(key, "cap-warning", f"{told.level} % of {name} is used, {left}")


def _plan(seen: Outlook) -> Iterator[Event]:
    plan, volume = seen.book.plan, seen.plan_volume
    if plan is None:
        return
    if volume:
        level = max((one for one in LEVELS if seen.plan_used * 100 >= volume * one), default=0)
        left = format_volume(max(0, volume - seen.plan_used))
        if level:
            key = f"plan:{plan.counted_from}:{volume}:{level}"
            yield Event(key, "plan", f"{level} % of the plan is used, {left} left")
    expires = plan.expires_at
    if seen.trusted and expires is not None and 0 < expires - seen.now <= SOON_S:
        hours = max(1, round((expires - seen.now) / 3600))
        yield Event(f"expires:{expires}", "plan", f"the plan ends in {hours} h")


def _pending(seen: Outlook) -> Iterator[Event]:
    for device in seen.book.devices.values():
        if device.state is DeviceState.PENDING:
            text = f"{device.name} waits: tripgate device approve {device.name}"
            yield Event(f"pending:{device.id}:{device.created_at}", "device-pending", text)


def _drains(seen: Outlook) -> Iterator[Event]:
    told = set()
    for one in seen.drains:
        device = seen.book.devices.get(one.device)
        key = f"drain:{one.device}:{one.service}:{seen.starts.get(Period.DAY, 0)}"
        if device and one.volume >= BIG and one.confidence != "low" and key not in told:
            told.add(key)
            size = format_volume(one.volume)
            pause = pause_command(device.name, slug(one.service))
            text = f"{one.service} moved {size} on {device.name} that nobody asked for: {pause}"
            yield Event(key, "drain", text)


def _nobodys(seen: Outlook) -> Iterator[Event]:
    if seen.unattributed:
        key = f"unattributed:{seen.starts.get(Period.DAY, 0)}"
        size = format_volume(seen.unattributed)
        text = f"{size} of the last hour have no owner: tripgate doctor"
        yield Event(key, "unattributed", text)
