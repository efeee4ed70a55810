"""``reconcile``: readings of the carrier beside our count."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli import shapes
from tests.cli.conftest import World
from tests.cli.gateways import gateway
from tests.cli.travelled import DAY_S, HOUR_S, MB, cells, contents, iso, travelled
from tripgate.cli.documents import Snapshot
from tripgate.cli.reconcile import count
from tripgate.cli.store import Store
from tripgate.core.classify import UNKNOWN
from tripgate.core.model import GATEWAY, PLAN, UNATTRIBUTED, Limit, Period
from tripgate.core.period import starts
from tripgate.core.statement import Statement
from tripgate.core.usage import increments
from tripgate.ledger.protocol import Edit, Settlement
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry

__all__ = ["travelled"]

READING = {
    "at": shapes.Instant, "text": str, "said": int, "counted": int, "difference": int,
    "percent": (float, None), "explained": int, "unexplained": int,
    "causes": [{"cause": str, "low": int, "high": int}], "unit_factor": (float, None),
    "interval": ({"said": int, "counted": int, "difference": int, "percent": (float, None),
                  "late": int}, None),
    "verdict": str, "words": str, "noted_at": shapes.Instant, "clock": str,
}  # fmt: skip
REPORT = {
    "since": (shapes.Instant, None), "now": shapes.Instant, "used": int, "kind": str, "unit": str,
    "step": int, "clock": str, "earlier": int, "readings": [READING], "verdict": (str, None),
    "words": str,
}  # fmt: skip


def test_without_readings_the_report_says_what_to_do(world: World) -> None:
    made = world.json("reconcile", "report")
    shapes.fits(made, REPORT)
    assert (made["readings"], made["verdict"], made["since"]) == ([], None, None)
    assert "tripgate reconcile add" in world.run("reconcile", "report")


def test_a_reading_is_noted_beside_our_count_of_that_moment(travelled: World) -> None:
    made = travelled.json("reconcile", "add", "1.21GB")
    shapes.fits(made, REPORT)
    (reading,) = made["readings"]
    assert (reading["said"], reading["counted"]) == (1_210 * MB, 1_200 * MB)
    assert (reading["difference"], reading["percent"]) == (10 * MB, 0.83)
    assert (reading["verdict"], made["words"]) == ("agrees", "agrees within 0.9 %")
    assert reading["causes"] == [{"cause": "typed", "low": -5 * MB, "high": 5 * MB}]
    assert (reading["explained"], reading["unexplained"]) == (5 * MB, 5 * MB)


def test_later_use_does_not_change_what_was_noted(travelled: World) -> None:
    travelled.run("reconcile", "add", "1.21GB")
    (phone,) = travelled.book.devices
    travelled.used(phone, 0, 500 * MB)
    made = travelled.json("reconcile", "report")
    assert made["readings"][0]["counted"] == 1_200 * MB
    assert made["used"] == 1_700 * MB


def test_the_table_has_the_figures_and_the_verdict_in_words(travelled: World) -> None:
    said = travelled.run("reconcile", "add", "1.50GB")
    assert "+300 MB" in said
    assert "+25.0 %" in said
    assert "Carrier counts more: 300 MB (25.0 %), of which 295 MB without a known cause." in said
    assert "the reading's last digit ±5 MB" in said


def nobodys(world: World, owner: str, up: int, down: int) -> None:
    """Bytes of the box itself, or of nobody: the plan alone pays for them."""

    async def settle(ledger: RedisLedger, registry: RedisRegistry) -> None:
        book, at = (await registry.load())[1], int(time.time())
        began = starts(book.plan, at)
        limits = (Limit(PLAN, Period.TRIP, began[Period.TRIP]),)
        made = increments(owner, UNKNOWN, None, up, down, at, began)
        lease, total = f"test:{time.monotonic_ns()}:1", up + down
        row = Settlement(lease, owner, total, total, True, limits, True, total, made)
        await ledger.settle([row], {}, at)

    world.ledger(settle)


def test_what_is_the_gateways_and_nobodys_is_in_the_count_and_in_an_export(
    travelled: World, tmp_path: Path
) -> None:
    nobodys(travelled, GATEWAY, 100 * MB, 150 * MB)
    nobodys(travelled, UNATTRIBUTED, 0, 50 * MB)
    made = travelled.json("reconcile", "add", "1.500GB")
    assert (made["verdict"], made["used"]) == ("agrees", 1_500 * MB)
    travelled.run("reconcile", "export", str(tmp_path / "bill.zip"))
    for name in ("usage-total.csv", "usage-hourly.csv"):
        rows = cells(contents(tmp_path / "bill.zip")[name])
        found = {row["device"]: (row["up"], row["down"]) for row in rows}
        assert found[GATEWAY] == (f"{100 * MB}", f"{150 * MB}")
        assert found[UNATTRIBUTED] == ("0", f"{50 * MB}")
        assert sum(int(up) + int(down) for up, down in found.values()) == made["used"]


def test_what_is_nobodys_counts_after_an_earlier_time_too(travelled: World) -> None:
    nobodys(travelled, GATEWAY, 100 * MB, 150 * MB)
    at = iso(int(time.time()) - 300)
    (reading,) = travelled.json("reconcile", "add", "1.200GB", "--at", at)["readings"]
    assert reading["counted"] == 1_200 * MB


def test_headers_are_an_explanation_in_the_explicit_mode_only(travelled: World) -> None:
    (phone,) = travelled.book.devices
    travelled.used(phone, 0, MB, overhead=60 * MB)
    made = travelled.json("reconcile", "add", "1.260GB")
    assert made["verdict"] == "agrees"
    assert {"cause": "headers", "low": 0, "high": 60 * MB} in made["readings"][0]["causes"]
    (travelled.state / "posted").touch()  # of the router mode
    made = travelled.json("reconcile", "add", "1.260GB")
    assert made["kind"] == "l3-bytes"
    assert made["readings"][-1]["verdict"] == "carrier counts more"


@pytest.mark.parametrize(("ago", "sure"), [(3 * HOUR_S, MB), (5 * DAY_S, MB)])
def test_the_count_of_an_earlier_time_is_made_from_what_is_kept(
    travelled: World, ago: int, sure: int
) -> None:
    (phone,) = travelled.book.devices
    at = int(time.time()) - ago
    begun = at // HOUR_S * HOUR_S if ago > 2 * DAY_S else at // 60 * 60
    travelled.used(phone, 0, 40 * MB, at=begun - 10)
    travelled.used(phone, 0, 2 * MB, at=begun + 5)
    (reading,) = travelled.json("reconcile", "add", "40MB", "--at", iso(at))["readings"]
    assert reading["counted"] == 41 * MB, "half of what moved in that minute or hour"
    assert {"cause": "time", "low": -sure, "high": sure} in reading["causes"]


def test_bytes_of_a_device_that_was_forgotten_are_still_after_that_time(travelled: World) -> None:
    travelled.run("device", "forget", "phone")
    at = iso(int(time.time()) - 3 * HOUR_S)
    (reading,) = travelled.json("reconcile", "add", "0MB", "--at", at)["readings"]
    assert reading["counted"] == 0


def test_a_time_without_a_zone_is_the_plans(travelled: World) -> None:
    travelled.run("plan", "set", "--tz", "Asia/Tokyo")
    when = int(time.time()) - DAY_S
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when + 9 * HOUR_S))
    (reading,) = travelled.json("reconcile", "add", "5MB", "--at", local)["readings"]
    assert reading["at"] == iso(when)


def test_a_late_booking_shows_between_readings(travelled: World) -> None:
    (phone,) = travelled.book.devices
    travelled.run("reconcile", "add", "800MB", "--at", iso(int(time.time()) - 600))
    travelled.used(phone, 0, 800 * MB)
    made = travelled.json("reconcile", "add", "2.00GB")
    lacking, caught_up = made["readings"]
    assert (lacking["verdict"], caught_up["verdict"]) == ("carrier counts less", "agrees")
    assert caught_up["interval"]["said"] == 1_200 * MB
    assert caught_up["interval"]["counted"] == 800 * MB
    assert caught_up["interval"]["late"] > 390 * MB
    assert "booked late" in made["words"]


def test_the_same_time_replaces_and_is_in_the_audit(travelled: World) -> None:
    at = iso(int(time.time()) - 60)
    travelled.run("reconcile", "add", "9.9GB", "--at", at)
    made = travelled.json("reconcile", "add", "1.2GB", "--at", at)
    assert [one["text"] for one in made["readings"]] == ["1.2GB"]
    edits = [one for one in travelled.json("audit") if one["action"] == "reconcile add"]
    assert [one["detail"].split(",")[0] for one in edits] == [f"1.2GB at {at}", f"9.9GB at {at}"]


def test_readings_of_an_earlier_plan_stay_and_are_not_in_its_report(travelled: World) -> None:
    travelled.run("reconcile", "add", "1.2GB")
    travelled.run("plan", "set", "--start", "now")
    made = travelled.json("reconcile", "report")
    assert (made["readings"], made["earlier"]) == ([], 1)


def test_a_clock_that_is_not_trusted_is_told(travelled: World) -> None:
    with gateway(travelled.state, clock="untrusted"):
        made = travelled.json("reconcile", "add", "1.2GB")
    assert (made["clock"], made["readings"][0]["clock"]) == ("untrusted", "untrusted")


def test_a_plan_that_is_changed_meanwhile_gets_no_reading_of_the_one_before(
    travelled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count.headers

    async def slow(store: Store, read: Snapshot) -> int:
        version, book = await store.registry.load()
        assert book.plan
        later = replace(book, plan=replace(book.plan, starts_at=read.now - 60))
        assert await store.registry.replace(version, later, Edit("test", "test"))
        return await before(store, read)

    monkeypatch.setattr(count, "headers", slow)
    code, said = travelled.refused("reconcile", "add", "1.2GB")
    assert (code, "run it again" in said) == (1, True)
    assert travelled.book.statements == ()


def test_of_two_readings_at_once_none_is_lost(
    travelled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count.headers

    async def slow(store: Store, read: Snapshot) -> int:
        version, book = await store.registry.load()
        other = Statement(read.now - 30, "1.1GB", 0, 0, 0, read.starts[Period.TRIP], 1, True)
        kept = replace(book, statements=(other,))
        assert await store.registry.replace(version, kept, Edit("test", "test"))
        return await before(store, read)

    monkeypatch.setattr(count, "headers", slow)
    made = travelled.json("reconcile", "add", "1.2GB")
    assert [one["text"] for one in made["readings"]] == ["1.1GB", "1.2GB"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("1,2GB",), 2, "is not a volume: write it as 500MB"),
        (("=1+1",), 2, "is not a volume"),
        (("1.2GB", "--at", "yesterday"), 2, "is not an instant"),
        (("1.2GB", "--at", "2099-01-01"), 2, "lies in the future"),
        (("1.2GB", "--at", "2020-01-01"), 1, "the plan began later"),
    ],
)
def test_what_cannot_be_noted_is_one_line(
    travelled: World, words: tuple[str, ...], code: int, said: str
) -> None:
    found, line = travelled.refused("reconcile", "add", *words)
    assert (found, said in line) == (code, True), line
    assert travelled.book.statements == ()


def test_hours_that_are_not_kept_any_more_are_refused(world: World) -> None:
    world.device("phone")
    long_ago = int(time.time()) - 90 * DAY_S
    world.run("plan", "set", "--start", iso(long_ago))
    code, said = world.refused("reconcile", "add", "1GB", "--at", iso(long_ago + DAY_S))
    assert (code, "hours are kept for 60 days" in said) == (1, True)


def test_without_a_plan_there_is_nothing_to_compare_with(world: World) -> None:
    code, said = world.refused("reconcile", "add", "1GB")
    assert (code, "tripgate plan set" in said) == (1, True)


@pytest.mark.parametrize("words", [("add", "1GB"), ("report",), ("export", "x.zip")])
def test_without_a_gateway_it_is_exit_code_3(empty: World, words: tuple[str, ...]) -> None:
    assert empty.refused("reconcile", *words)[0] == 3
