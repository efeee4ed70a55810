"""Advice: what would have helped, by what was used, and the exact command for it.

Rules
1. An estimate is the past of that very thing: what its drains moved in the ``span`` that was looked
   at, and nothing that was not there. How much longer the plan lasts is the forecast of that past
   with and without it.
2. Guesses (confidence ``low``) are never advised on. Nor is what a policy decides on already, or
   would have at that time: paused, slowed, or allowed on purpose.
3. Advice is worth telling from ``LEAST`` bytes on, if they matter: a hundredth of the plan's volume
   or, at that pace, a tenth of a cap of the device or its person. Without a plan ``LEAST`` is
   enough; where the plan is unlimited only caps matter.
4. A day's cap on the plan is advised where the plan runs out ``EARLY_S`` or more before it expires,
   and no cap of a day is there that is as low.
5. An id stands for the command: the same command, the same id, and no other.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tripgate.core.book import Book
from tripgate.core.classify import Service
from tripgate.core.drain import Drain, Piece, pause_command
from tripgate.core.forecast import Forecast, forecast
from tripgate.core.limits import targets_of
from tripgate.core.model import PLAN, CapState, Device, Period
from tripgate.core.policy import Moment, over
from tripgate.core.policybook import compiled
from tripgate.core.units import format_volume
from tripgate.core.usage import DAY_S, HOUR_S

LEAST = 20_000_000
OF_PLAN, OF_CAP = 100, 10
EARLY_S = DAY_S
_DAYS = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 30}


@dataclass(frozen=True, slots=True)
class Advice:
    """``saved``: bytes of the last ``span`` seconds. ``longer``: seconds that the plan would last
    longer, None: unknown, or no matter; ``lasts``: it would last until it expires."""

    kind: str
    title: str
    command: str
    saved: int
    span: int
    longer: int | None = None
    lasts: bool = False

    @property
    def id(self) -> str:
        """Rule 5."""
        digest = hashlib.sha256(self.command.encode()).digest()
        return f"a-{base64.b32encode(digest)[:6].decode().lower()}"

    @property
    def text(self) -> str:
        """For people."""
        saved = f"would have saved {format_volume(self.saved)} of the last {_length(self.span)}"
        if self.lasts:
            return f"{self.title}: {saved}; the plan would last until it expires"
        if self.longer:
            return f"{self.title}: {saved}; the plan would last {_length(self.longer)} longer"
        return f"{self.title}: {saved}"


@dataclass(frozen=True, slots=True)
class Situation:
    """What advice is made from. ``past``: all bytes of the plan by hour, since ``first``;
    ``remaining``: of the plan, None: unlimited."""

    book: Book
    drains: Sequence[Drain]
    past: Mapping[int, int]
    first: int
    now: int
    remaining: int | None = None
    caps: Sequence[CapState] = ()
    trusted: bool = True

    @property
    def span(self) -> int:
        return max(HOUR_S, self.now - self.first)

    def foreseen(self, without: Mapping[int, int] | None = None) -> Forecast:
        """Rule 1."""
        left = Counter(self.past)
        left.subtract(without or {})
        plan = self.book.plan
        expires = plan.expires_at if plan else None
        past = {hour: max(0, volume) for hour, volume in left.items()}
        return forecast(past, self.first, self.now, remaining=self.remaining, expires_at=expires)


def advise(seen: Situation) -> list[Advice]:
    """All that is worth telling, what saves most first."""
    made = [*_pauses(seen), *_daily(seen)]
    return sorted(made, key=lambda one: (-one.saved, one.command))


# -- pauses ------------------------------------------------------------------------------------


def _pauses(seen: Situation) -> Iterable[Advice]:
    used: dict[tuple[str, str], Counter[int]] = {}
    for piece in _undecided(seen):
        used.setdefault((piece.device, piece.category), Counter())[piece.at] += piece.volume
    for (device_id, category), hours in used.items():
        device, saved = seen.book.devices[device_id], hours.total()
        if saved >= LEAST and _matters(seen, device, saved):
            longer, lasts = _effect(seen, hours)
            title = f"pause {category} on {device.name}"
            command = pause_command(device.name, category)
            yield Advice("pause", title, command, saved, seen.span, longer, lasts)


def _undecided(seen: Situation) -> Iterable[Piece]:
    """Rule 2."""
    policies = compiled(seen.book)
    gone = {one.id for one in seen.book.policies if seen.trusted and over(one, seen.now)}
    for drain in seen.drains:
        device = seen.book.devices.get(drain.device)
        for piece in drain.pieces if device else ():
            assert device is not None
            service = Service(piece.service, piece.category)
            moment = Moment(piece.at, seen.trusted)
            decided = policies.decide(targets_of(device), service, moment).policy
            if piece.confidence != "low" and (decided is None or decided in gone):
                yield piece


def _matters(seen: Situation, device: Device, saved: int) -> bool:
    """Rule 3."""
    plan = seen.book.plan
    if plan is None or (plan.volume is not None and saved * OF_PLAN >= plan.volume):
        return True
    scopes = [target for target in targets_of(device) if target != PLAN]
    for state in seen.caps:
        if state.cap.target in scopes:
            days = _DAYS.get(state.cap.period)
            pace = saved if days is None else saved * days * DAY_S // max(seen.span, DAY_S)
            if pace * OF_CAP >= state.limit:
                return True
    return False


def _effect(seen: Situation, hours: Mapping[int, int]) -> tuple[int | None, bool]:
    """How much longer the plan lasts, and whether it lasts to its end."""
    now = seen.foreseen()
    if not now.enough or now.exhausted_at is None:
        return None, False
    then = seen.foreseen(hours).exhausted_at
    if then is None:
        plan = seen.book.plan
        return None, plan is not None and plan.expires_at is not None
    return then - now.exhausted_at, False


# -- a day's cap -------------------------------------------------------------------------------


def _daily(seen: Situation) -> Iterable[Advice]:
    """Rule 4."""
    found, plan = seen.foreseen(), seen.book.plan
    expires = plan.expires_at if plan else None
    if not found.enough or found.exhausted_at is None or not found.per_day or expires is None:
        return
    volume = _rounded(found.per_day)
    there = seen.book.caps.get((PLAN, Period.DAY))
    if expires - found.exhausted_at < EARLY_S or (there and there.limit <= found.per_day):
        return
    days: Counter[int] = Counter()
    for hour, moved in seen.past.items():
        days[max(0, seen.now - hour - 1) // DAY_S] += moved
    saved = sum(max(0, moved - volume) for moved in days.values())
    if volume and saved >= LEAST:
        amount = f"{volume // 1_000_000}MB"
        command = f"tripgate cap set plan {amount}/day --at-cap essentials"
        title = f"let the plan have {format_volume(volume)} a day"
        yield Advice("cap", title, command, saved, seen.span, None, True)


def _rounded(volume: int) -> int:
    """Down to two digits of whole megabytes, so that the advice stands for a while."""
    size = volume // 1_000_000
    step = int(10 ** max(0, len(str(size)) - 2))
    return size // step * step * 1_000_000


def _length(seconds: int) -> str:
    days, hours = seconds / DAY_S, max(1, round(seconds / HOUR_S))
    if days >= 2:
        return f"{round(days)} days"
    return f"{hours} hours" if hours > 1 else "hour"
