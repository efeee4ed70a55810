"""What is a drain, how sure that is, and where it begins and ends."""

import pytest

from tripgate.core import drain
from tripgate.core.drain import DOWNLOAD, LEAST, PRESENT, Hour, drains, hours_of, pieces
from tripgate.core.usage import HOUR_S, hours_reading

NOON = 1_700_000_000 // 86_400 * 86_400 + 12 * HOUR_S
MB = 1_000_000
PHONE = "dev-aaaa"
NAMES = {
    "os-update": "Windows Update", "cloud-sync": "iCloud", "telemetry": "Sentry",
    "ads": "Google ads", "app-store": "Google Play", "games": "Steam", "email": "Gmail",
    "video": "YouTube", "unknown": "unknown", "cdn": "Akamai", "music": "Spotify",
    "browser": "Firefox updates", "backup": "IDrive", "essential": "WhatsApp",
    "connectivity-check": "Connectivity",
}  # fmt: skip


def hour(at: int = 0, device: str = PHONE, **volumes: int) -> Hour:
    """The hour ``at`` hours after noon; ``cloud_sync=5`` are 5 MB of it."""
    categories = {key.replace("_", "-"): size for key, size in volumes.items()}
    used = {(NAMES[key], key): int(size * MB) for key, size in categories.items()}
    return Hour(device, NOON + at * HOUR_S, used)


def told(*hours: Hour, shared: tuple[str, ...] = ()) -> dict[str, str]:
    """Each service that drains, and how sure that is."""
    found = drains(pieces(hours, shared), NOON + 100 * HOUR_S)
    return {one.service: one.confidence for one in found}


@pytest.mark.parametrize("category", sorted(drain.BY_ITSELF))
@pytest.mark.parametrize("watched", [0, 50])
def test_nobody_asks_for_updates_telemetry_and_ads(category: str, watched: int) -> None:
    use = hour(**{category.replace("-", "_"): 5, "video": watched})
    assert told(use) == {NAMES[category]: "high"}


@pytest.mark.parametrize("category", sorted(drain.EITHER))
def test_what_people_ask_for_too_is_less_sure_beside_a_person(category: str) -> None:
    key = category.replace("-", "_")
    assert told(hour(**{key: 5})) == {NAMES[category]: "high"}
    assert told(hour(**{key: 5}, video=50)) == {NAMES[category]: "medium"}


def test_somebody_who_used_the_device_an_hour_ago_may_still_wait_for_it() -> None:
    assert told(hour(0, music=50), hour(1, cloud_sync=5)) == {"iCloud": "medium"}
    assert told(hour(0, music=50), hour(2, cloud_sync=5)) == {"iCloud": "high"}


def test_another_device_in_use_says_nothing() -> None:
    assert told(hour(cloud_sync=5), hour(device="dev-bbbb", video=50)) == {"iCloud": "high"}


@pytest.mark.parametrize("category", ["unknown", "cdn"])
def test_what_has_no_name_may_be_a_person_and_is_no_drain_itself(category: str) -> None:
    assert told(hour(cloud_sync=5, **{category: 50})) == {"iCloud": "medium"}
    assert told(hour(**{category: 50})) == {}


def test_a_trickle_is_nobody() -> None:
    assert told(hour(cloud_sync=5, video=(PRESENT - 1) / MB)) == {"iCloud": "high"}
    assert told(hour(cloud_sync=5, video=PRESENT / MB)) == {"iCloud": "medium"}


@pytest.mark.parametrize("category", ["video", "essential", "connectivity_check"])
def test_what_people_use_is_no_drain(category: str) -> None:
    assert told(hour(**{category: 500})) == {}


def test_mail_on_a_quiet_device_is_a_guess_and_beside_a_person_none() -> None:
    assert told(hour(email=5)) == {"Gmail": "low"}
    assert told(hour(email=5, video=50)) == {}


def test_play_is_no_drain_and_a_download_of_a_game_is() -> None:
    assert told(hour(games=(DOWNLOAD - 1) / MB)) == {}
    assert told(hour(games=DOWNLOAD / MB)) == {"Steam": "medium"}
    assert told(hour(games=DOWNLOAD / MB, video=50)) == {"Steam": "low"}


def test_hosts_that_serve_other_things_too_are_one_step_less_sure() -> None:
    shared = ("iCloud", "Gmail")
    found = told(hour(cloud_sync=5, email=5), shared=shared)
    assert found == {"iCloud": "medium", "Gmail": "low"}


def test_a_stretch_goes_over_one_silent_hour_and_no_more() -> None:
    hours = [hour(at, cloud_sync=5) for at in (0, 2, 5)]
    found = drains(pieces(hours), NOON + 100 * HOUR_S)
    spans = sorted(((one.since - NOON) // HOUR_S, (one.until - NOON) // HOUR_S) for one in found)
    assert spans == [(0, 3), (5, 6)]
    assert found[0].volume == 10 * MB


def test_the_hour_under_way_ends_now() -> None:
    (one,) = drains(pieces([hour(0, cloud_sync=5)]), NOON + 60)
    assert one.until == NOON + 60


def test_small_stretches_are_not_told() -> None:
    assert told(hour(cloud_sync=(LEAST - 1) / MB)) == {}
    assert told(hour(cloud_sync=LEAST / MB)) == {"iCloud": "high"}
    assert told(hour(0, cloud_sync=0.5), hour(1, cloud_sync=0.5)) == {"iCloud": "high"}


def test_a_stretch_is_as_sure_as_most_of_its_bytes() -> None:
    assert told(hour(0, cloud_sync=1), hour(1, cloud_sync=9, video=50)) == {"iCloud": "medium"}
    (one,) = drains(pieces([hour(0, cloud_sync=9), hour(1, cloud_sync=1, video=50)]), NOON)
    assert (one.confidence, one.why) == ("high", drain.WHY["quiet"])


def test_the_largest_comes_first() -> None:
    found = drains(pieces([hour(cloud_sync=5, telemetry=2, ads=9)]), NOON)
    assert [one.volume // MB for one in found] == [9, 5, 2]


def test_hours_are_read_from_what_the_ledger_keeps() -> None:
    reading = hours_reading([PHONE], NOON, NOON + 2 * HOUR_S)
    buckets = [{"ciCloud|u": 3, "ciCloud|d": 4, "-|d": 5, "overhead": 9}, {}]
    (one,) = hours_of(reading, buckets)
    assert one == Hour(PHONE, NOON, {("iCloud", "cloud-sync"): 7, ("unknown", "unknown"): 5})


def test_each_category_has_one_rule_at_most() -> None:
    rules = [drain.BY_ITSELF, drain.EITHER, drain.PATTERN, drain.PERSONAL, drain.NAMELESS]
    assert sum(map(len, rules)) == len(frozenset().union(*rules))
