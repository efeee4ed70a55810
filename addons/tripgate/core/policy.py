"""Policies: what is paused, allowed or slowed, for whom and when; and the decision on one flow.

Rules
1. A policy is a verb on a thing (a service, a category, or ``all``) for a target (a device, a
   person, or the plan, which is everybody).
2. Of the policies that apply now one decides: that of the most specific target (device, person,
   plan); of these that of the most specific thing (service, category, all); of these the newest.
   But a throttle is no exception to a pause: where one on a less specific thing would decide, a
   pause of a more specific thing for a less specific target stays in force. Only ``allow``, or a
   throttle of the very thing, makes an exception to it.
3. Caps always win. A reached ``block`` cap refuses. ``essentials`` lets the essential categories
   through at ``ESSENTIAL_RATE`` and refuses the rest. ``throttle`` slows what a policy lets
   through; of two rates the lower holds. No ``allow`` lifts a cap.
4. Connectivity checks and the portal are never paused nor slowed by a policy.
5. A policy ends at ``until``, once the clock is trusted, or, with ``until_unmetered``, while the
   uplink is unmetered. ``daily`` is minutes of the day in the plan's zone; a window that ends
   before it begins goes over midnight, and one that ends as it begins is the whole day.
6. While the uplink costs nothing pauses and throttles rest, as caps do. Those with hours go on:
   bedtime is no matter of cost; so does an ``allow``, which holds nothing back.
7. The cost is a few look-ups, whatever the number of rules, devices and policies: verdicts are
   made when the book changes, not when a flow comes. Of two made in one second the one that
   stands later in the book is the newer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from tripgate.core.classify import Service
from tripgate.core.model import PLAN, Cap, Target
from tripgate.core.units import format_rate

ALL = "all"
ESSENTIAL_RATE = 64_000
"""Bits per second of the essential floor."""
ESSENTIAL = frozenset({"essential", "chat", "maps", "email", "connectivity-check"})
"""Messages, maps, codes, mail: each at whatever provider."""
NEVER = "connectivity-check"
MOST_POLICIES = 500


class Verb(StrEnum):
    """What a policy does."""

    PAUSE = "pause"
    ALLOW = "allow"
    THROTTLE = "throttle"


@dataclass(frozen=True, slots=True)
class Policy:
    """``rate`` in bits per second, ``until`` in epoch seconds, ``daily`` in minutes of the day."""

    id: str
    verb: Verb
    what: str
    target: Target = PLAN
    rate: int | None = None
    until: int | None = None
    until_unmetered: bool = False
    daily: tuple[int, int] | None = None
    preset: str = ""
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a flow. ``verb``: ``allow``, ``throttle``, ``pause`` or ``refuse``.

    ``rate`` in bits per second, for ``throttle``; ``policy`` is the id of the one that decided.
    """

    verb: str
    reason: str = ""
    rate: int | None = None
    policy: str | None = None
    cap: Cap | None = None

    @property
    def passes(self) -> bool:
        return self.verb in ("allow", "throttle")


ALLOWED = Verdict("allow")


@dataclass(frozen=True, slots=True)
class Moment:
    """When a decision is made: epoch seconds, and what is known of clock and uplink."""

    now: int
    trusted: bool = True
    unmetered: bool = False


class Policies:
    """The policies of one version of the book, ready for decisions."""

    def __init__(
        self,
        policies: Iterable[Policy],
        zone: str = "UTC",
        labels: Mapping[Target, str] | None = None,
        portal: Iterable[str] = (),
    ) -> None:
        self._zone = ZoneInfo(zone)
        self._portal = frozenset(portal)
        self._tables: dict[Target, dict[str, list[tuple[Policy, Verdict]]]] = {}
        for policy in reversed(sorted(policies, key=lambda one: one.created_at)):  # noqa: C413
            label = (labels or {}).get(policy.target, str(policy.target))
            listed = self._tables.setdefault(policy.target, {}).setdefault(policy.what, [])
            if not listed or _conditional(listed[-1][0]):  # else the newer one always decides
                listed.append((policy, _verdict(policy, label)))

    def decide(
        self,
        targets: Sequence[Target],
        service: Service,
        moment: Moment,
        *,
        reached: Sequence[Cap] = (),
        host: str | None = None,
    ) -> Verdict:
        """The verdict on a flow of a device.

        ``targets``: the scopes of the device, the most specific first
        (:func:`tripgate.core.limits.targets_of`). ``reached``: the caps on them that are used up.
        """
        if service.category == NEVER or (host is not None and host in self._portal):
            verdict = ALLOWED
        else:
            verdict = self._policy(targets, service, moment)
        return _capped(verdict, service, reached) if reached else verdict

    def _policy(self, targets: Sequence[Target], service: Service, moment: Moment) -> Verdict:
        """Rule 2."""
        if not self._tables:
            return ALLOWED
        slowed: Verdict | None = None
        things: tuple[str, ...] = (service.name, service.category, ALL)
        for target in targets:
            found = self._first(self._tables.get(target, {}), things, moment)
            if found is None:
                continue
            what, verdict = found
            if slowed is None and verdict.verb != Verb.THROTTLE:
                return verdict
            if slowed is not None and verdict.verb != Verb.THROTTLE:
                return verdict if verdict.verb == Verb.PAUSE else slowed
            slowed, things = slowed or verdict, things[: things.index(what)]
        return slowed or ALLOWED

    def _first(
        self,
        table: Mapping[str, list[tuple[Policy, Verdict]]],
        things: Sequence[str],
        moment: Moment,
    ) -> tuple[str, Verdict] | None:
        """Of one target, the verdict on the most specific thing, and which that is."""
        for what in things:
            for policy, verdict in table.get(what, ()):
                if self.applies(policy, moment):
                    return what, verdict
        return None

    def applies(self, policy: Policy, moment: Moment) -> bool:
        """Rules 5 and 6."""
        if policy.until is not None and moment.trusted and moment.now >= policy.until:
            return False
        if moment.unmetered and (policy.until_unmetered or _rests(policy)):
            return False
        return policy.daily is None or in_window(policy.daily, moment.now, self._zone)


def in_window(daily: tuple[int, int], now: int, zone: ZoneInfo) -> bool:
    """Whether the local time of ``now`` lies in the window (its end excluded)."""
    local = datetime.fromtimestamp(now, UTC).astimezone(zone)
    minute, (begin, end) = local.hour * 60 + local.minute, daily
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def over(policy: Policy, now: int) -> bool:
    """The policy will never apply again."""
    return policy.until is not None and now >= policy.until


def _rests(policy: Policy) -> bool:
    """Rule 6."""
    return policy.verb is not Verb.ALLOW and policy.daily is None


def _conditional(policy: Policy) -> bool:
    """It does not always decide."""
    ends = policy.until is not None or policy.until_unmetered
    return ends or policy.daily is not None or _rests(policy)


def _verdict(policy: Policy, label: str) -> Verdict:
    thing = "everything" if policy.what == ALL else policy.what
    whom = "for all" if policy.target == PLAN else f"for {label}"
    if policy.verb is Verb.PAUSE:
        return Verdict("pause", f"{thing} is paused {whom}", None, policy.id)
    if policy.verb is Verb.THROTTLE and policy.rate is not None:
        reason = f"{thing} is slowed to {format_rate(policy.rate)} {whom}"
        return Verdict("throttle", reason, policy.rate, policy.id)
    return Verdict("allow", f"{thing} is allowed {whom}", None, policy.id)


def _capped(verdict: Verdict, service: Service, reached: Sequence[Cap]) -> Verdict:
    """Rule 3: the tightest of the reached caps, and what it leaves of the verdict."""
    tightest = min(reached, key=lambda cap: _floor(cap, service))
    rate = _floor(tightest, service)
    if rate == 0:
        reason = f"the {tightest.period} cap of {tightest.target} is used up"
        return Verdict("refuse", reason, None, None, tightest)
    slower = verdict.rate is None or rate < verdict.rate
    if verdict.verb == "pause" or not slower:
        return verdict
    reason = f"slowed to {format_rate(rate)}: the {tightest.period} cap of {tightest.target}"
    return Verdict("throttle", f"{reason} is used up", rate, verdict.policy, tightest)


def _floor(cap: Cap, service: Service) -> int:
    """Bits per second that a reached cap leaves to a service; 0: nothing."""
    if cap.rate is not None:
        return cap.rate
    essential = cap.action == "essentials" and service.category in ESSENTIAL
    return ESSENTIAL_RATE if essential else 0
