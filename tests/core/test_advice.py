"""What is advised, what is not worth it, and that an estimate is the past of that very thing."""

from dataclasses import replace

import pytest

from tripgate.core import book
from tripgate.core.advice import EARLY_S, LEAST, Advice, Situation, advise
from tripgate.core.book import EMPTY, Book
from tripgate.core.drain import Hour, drains, pieces
from tripgate.core.limits import cap_states
from tripgate.core.model import (
    PLAN,
    Cap,
    DeviceState,
    Period,
    Plan,
    Target,
    device_target,
    person_target,
)  # fmt: skip
from tripgate.core.period import starts
from tripgate.core.policy import Policy, Verb
from tripgate.core.policybook import set_policy
from tripgate.core.usage import DAY_S, HOUR_S

NOW = 1_700_000_000 // DAY_S * DAY_S + 12 * HOUR_S
MB, GB = 10**6, 10**9
DAYS = 3


def family(plan: Plan | None = None) -> tuple[Book, str]:
    made = book.add_person(EMPTY, "anna")
    made, phone = book.add_device(
        made, "x", 0, entropy="00000001", state=DeviceState.APPROVED, name="annas-phone"
    )
    made = book.approve_device(made, phone.id, "anna")
    return book.set_plan(made, plan), phone.id


def used(device: str, **volumes: int) -> list[Hour]:
    """So many MB in each of the last ``DAYS`` days' hours."""
    names = {"cloud_sync": ("iCloud", "cloud-sync"), "video": ("YouTube", "video"),
             "email": ("Gmail", "email")}  # fmt: skip
    each = {names[key]: size * MB for key, size in volumes.items()}
    begun = NOW // HOUR_S * HOUR_S - DAYS * DAY_S
    return [Hour(device, begun + hour * HOUR_S, each) for hour in range(DAYS * 24)]


def seen(
    made: Book, hours: list[Hour], remaining: int | None = None, *, trusted: bool = True
) -> Situation:
    past = {hour.at: sum(hour.volumes.values()) for hour in hours}
    caps = cap_states(made, {}, starts(made.plan, NOW), trusted=True)
    found = drains(pieces(hours), NOW)
    return Situation(made, found, past, hours[0].at, NOW, remaining, tuple(caps), trusted)


def plan(volume: int | None, days: int = 30) -> Plan:
    return Plan(volume=volume, valid_s=days * DAY_S, starts_at=NOW - DAYS * DAY_S)


def pauses(situation: Situation) -> list[Advice]:
    return [one for one in advise(situation) if one.kind == "pause"]


def test_a_pause_says_what_it_would_have_saved_and_the_exact_command() -> None:
    made, phone = family(plan(100 * GB))
    (one,) = advise(seen(made, used(phone, cloud_sync=20), 100 * GB))
    command = "tripgate policy pause cloud-sync --for device:annas-phone --until unmetered"
    assert (one.command, one.saved, one.span) == (command, 72 * 20 * MB, DAYS * DAY_S)
    expected = "pause cloud-sync on annas-phone: would have saved 1.44 GB of the last 3 days"
    assert one.text == expected


def test_how_much_longer_the_plan_lasts_is_the_forecast_without_it() -> None:
    made, phone = family(plan(10 * GB, 365))
    use = used(phone, cloud_sync=10, video=10)
    (one, *_) = pauses(seen(made, use, 4800 * MB))
    assert one.longer == pytest.approx(10 * DAY_S, abs=HOUR_S)
    assert one.text.endswith("; the plan would last 10 days longer")


def test_a_plan_that_would_last_to_its_end_is_said_to() -> None:
    made, phone = family(plan(10 * GB, 20))
    (one, *_) = pauses(seen(made, used(phone, cloud_sync=20, video=1), 4800 * MB))
    assert one.lasts
    assert one.text.endswith("the plan would last until it expires")


def test_a_guess_is_not_advised_on() -> None:
    made, phone = family()
    hours = used(phone, email=20)
    assert seen(made, hours).drains
    assert advise(seen(made, hours)) == []


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.THROTTLE, Verb.ALLOW])
@pytest.mark.parametrize("what", ["cloud-sync", "iCloud", "all"])
def test_what_a_policy_decides_on_is_left_to_it(verb: Verb, what: str) -> None:
    made, phone = family()
    made = set_policy(made, Policy("", verb, what, device_target(phone), 64_000, created_at=NOW))
    assert advise(seen(made, used(phone, cloud_sync=20))) == []


def test_a_policy_that_is_over_decides_nothing() -> None:
    made, phone = family()
    made = set_policy(made, Policy("", Verb.PAUSE, "all", until=NOW - 1))
    assert len(advise(seen(made, used(phone, cloud_sync=20)))) == 1


def test_a_pause_of_some_hours_leaves_the_others_to_be_advised_on() -> None:
    made, phone = family()
    made = set_policy(made, Policy("", Verb.PAUSE, "cloud-sync", daily=(0, 12 * 60)))
    (one,) = advise(seen(made, used(phone, cloud_sync=20)))
    assert one.saved == 36 * 20 * MB


def hundred(volume: int) -> list[Hour]:
    """One hour of so many bytes of cloud-sync, three days ago."""
    made, phone = family()
    hour = used(phone, cloud_sync=1)[0]
    return [replace(hour, volumes={("iCloud", "cloud-sync"): volume})]


@pytest.mark.parametrize(
    ("volume", "given", "told"),
    [
        (LEAST - 1, None, False),
        (LEAST, None, True),
        (LEAST, plan(100 * LEAST), True),
        (LEAST, plan(100 * LEAST + 1), False),
        (10 * LEAST, plan(None), False),
    ],
    ids=["too little", "enough", "a hundredth of the plan", "less than that", "unlimited"],
)
def test_what_does_not_matter_is_not_told(volume: int, given: Plan | None, told: bool) -> None:
    made, _ = family(given)
    assert bool(pauses(seen(made, hundred(volume)))) is told


@pytest.mark.parametrize(
    ("period", "limit", "told"),
    [
        (Period.DAY, 10 * LEAST, True),
        (Period.DAY, 10 * LEAST + 10, False),
        (Period.WEEK, 70 * LEAST, True),
        (Period.TRIP, 30 * LEAST, True),
        (Period.TRIP, 30 * LEAST + 10, False),
    ],
)
@pytest.mark.parametrize("of_person", [False, True])
def test_on_an_unlimited_plan_a_tenth_of_a_cap_matters(
    period: Period, limit: int, told: bool, of_person: bool
) -> None:
    made, phone = family(plan(None))
    target: Target = person_target("anna") if of_person else device_target(phone)
    made = book.set_cap(made, Cap(target, period, limit, created_at=NOW))
    assert bool(pauses(seen(made, hundred(DAYS * LEAST)))) is told


def daily(made: Book, hours: list[Hour], left: int) -> list[Advice]:
    return [one for one in advise(seen(made, hours, left)) if one.kind == "cap"]


def test_a_plan_that_runs_out_early_gets_a_days_cap() -> None:
    made, phone = family(plan(10 * GB, 13))
    (one,) = daily(made, used(phone, video=50), 4567 * MB)
    assert one.command == "tripgate cap set plan 450MB/day --at-cap essentials"
    assert one.saved == DAYS * (1200 - 450) * MB
    assert one.lasts


@pytest.mark.parametrize("left", [10 * 1200 * MB, 10 * 1200 * MB - EARLY_S // HOUR_S * 49 * MB])
def test_a_plan_that_nearly_lasts_needs_none(left: int) -> None:
    made, phone = family(plan(20 * GB, 13))
    assert daily(made, used(phone, video=50), left) == []


def test_a_cap_that_is_as_low_is_enough() -> None:
    made, phone = family(plan(10 * GB, 13))
    made = book.set_cap(made, Cap(PLAN, Period.DAY, 456 * MB, created_at=NOW))
    assert daily(made, used(phone, video=50), 4567 * MB) == []


def test_the_id_is_the_commands() -> None:
    one = Advice("pause", "x", "tripgate policy pause ads --for device:a", 1, 1)
    assert replace(one, saved=99, longer=5).id == one.id
    assert replace(one, command=one.command + "b").id != one.id
    assert one.id.startswith("a-") and one.id.isascii()


def test_a_forgotten_device_gets_no_advice() -> None:
    made, phone = family()
    hours = used(phone, cloud_sync=20)
    assert advise(seen(book.forget_device(made, phone), hours)) == []
