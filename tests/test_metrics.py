"""The exposition of one reading: names, values, bounds, and what no label may say."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import docs.metrics
from tripgate.core import labels
from tripgate.core.book import Book
from tripgate.core.model import (
    PLAN,
    Cap,
    CapState,
    Device,
    DeviceState,
    Period,
    Plan,
    device_target,
    person_target,
)
from tripgate.metrics import Both, Reading, StateCollector, create_app, make_registry

GB = 1_000_000_000

CONTRACT = {
    "tripgate_cap_warned_percent": {"scope", "target", "period"},  # added later
    "tripgate_traffic_bytes_total": {"device", "person", "category", "direction"},
    "tripgate_uplink_bytes_total": {"direction"},
    "tripgate_gateway_bytes_total": {"direction"},
    "tripgate_unattributed_bytes_total": {"direction"},
    "tripgate_device_info": {"device", "name", "person", "state"},
    "tripgate_cap_limit_bytes": {"scope", "target", "period"},
    "tripgate_cap_used_bytes": {"scope", "target", "period"},
    "tripgate_cap_reached": {"scope", "target", "period"},
    "tripgate_plan_limit_bytes": set(),
    "tripgate_plan_used_bytes": set(),
    "tripgate_plan_expires_timestamp_seconds": set(),
    "tripgate_plan_exhaustion_timestamp_seconds": set(),
    "tripgate_flows": {"state"},
    "tripgate_flows_total": {"verdict"},
    "tripgate_flows_cut_total": {"reason"},
    "tripgate_drain_bytes_total": {"device", "service"},
    "tripgate_ledger_up": set(),
    "tripgate_ledger_calls_total": {"call", "result"},
    "tripgate_lease_overrun_bytes_total": set(),
    "tripgate_fail_open_bytes_total": set(),
    "tripgate_clock_trusted": set(),
    "tripgate_build_info": {"version", "mode"},
}

PHONE = Device(
    "dev-aaaa", "anas-phone", DeviceState.APPROVED, "ana",
    mac="02:00:5e:10:00:01", identities=("mac:02:00:5e:10:00:01", "ip:10.77.0.20"),
)  # fmt: skip
CAPPED = CapState(Cap(device_target(PHONE.id), Period.DAY, 100), used=100, reserved=0, resets_at=9)
FULL = Reading(
    version="1.2.3",
    mode="explicit",
    book=Book(
        devices={PHONE.id: PHONE},
        plan=Plan(volume=10 * GB, valid_s=86_400, starts_at=1_700_000_000),
    ),
    caps=(CAPPED,),
    plan_used=4 * GB,
    exhausts_at=1_700_050_000,
    traffic={(PHONE.id, "video", "down"): 700, (PHONE.id, "video", "up"): 30},
    uplink=Both(31, 720),
    gateway=Both(1, 19),
    unattributed=Both(0, 1),
    drains={(PHONE.id, "iCloud"): 50},
    flows={"client": 2, "upstream": 3},
    verdicts={"allow": 5},
    cuts={"cap": 1},
    calls={("grant", "ok"): 4},
    overrun=7,
    ledger_up=True,
    clock_trusted=True,
)

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exposed(*readings: Reading) -> str:
    """The exposition of the last of ``readings``, after one of each before it."""
    collector = StateCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    text = b""
    for collector.reading in readings:
        text = generate_latest(registry)
    return text.decode()


def values(text: str) -> Values:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, /, **labels: str) -> float | None:
    return values(text).get((name, frozenset(labels.items())))


def label_values(text: str, label: str) -> set[str]:
    return {dict(pairs)[label] for _, pairs in values(text) if label in dict(pairs)}


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_every_metric_of_the_contract_is_exported_with_its_labels(name: str) -> None:
    found = [set(dict(pairs)) for sample, pairs in values(exposed(FULL)) if sample == name]
    assert found
    assert all(one == CONTRACT[name] for one in found)


def test_nothing_is_exported_that_the_contract_does_not_name() -> None:
    assert {name for name, _ in values(exposed(FULL))} == set(CONTRACT)


@pytest.mark.parametrize("reading", [FULL, Reading("1", "explicit", Book())])
def test_promtool_finds_nothing_to_improve(reading: Reading) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposed(reading), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        (
            "tripgate_traffic_bytes_total",
            {"device": "dev-aaaa", "person": "ana", "category": "video", "direction": "down"},
            700,
        ),
        ("tripgate_uplink_bytes_total", {"direction": "down"}, 720),
        ("tripgate_gateway_bytes_total", {"direction": "up"}, 1),
        ("tripgate_unattributed_bytes_total", {"direction": "down"}, 1),
        (
            "tripgate_device_info",
            {"device": "dev-aaaa", "name": "anas-phone", "person": "ana", "state": "approved"},
            1,
        ),
        (
            "tripgate_cap_reached",
            {"scope": "device", "target": "dev-aaaa", "period": "day"},
            1,
        ),
        ("tripgate_plan_limit_bytes", {}, 10 * GB),
        ("tripgate_plan_used_bytes", {}, 4 * GB),
        ("tripgate_plan_expires_timestamp_seconds", {}, 1_700_086_400),
        ("tripgate_plan_exhaustion_timestamp_seconds", {}, 1_700_050_000),
        ("tripgate_flows", {"state": "upstream"}, 3),
        ("tripgate_flows_total", {"verdict": "allow"}, 5),
        ("tripgate_flows_cut_total", {"reason": "cap"}, 1),
        ("tripgate_drain_bytes_total", {"device": "dev-aaaa", "service": "iCloud"}, 50),
        ("tripgate_ledger_calls_total", {"call": "grant", "result": "ok"}, 4),
        ("tripgate_lease_overrun_bytes_total", {}, 7),
        ("tripgate_ledger_up", {}, 1),
        ("tripgate_build_info", {"version": "1.2.3", "mode": "explicit"}, 1),
    ],
)
def test_a_value_of_the_reading_is_exported(
    name: str, labels: dict[str, str], expected: float
) -> None:
    assert value(exposed(FULL), name, **labels) == expected


@pytest.mark.parametrize(
    ("target", "scope", "key"),
    [(PLAN, "plan", "plan"), (person_target("ana"), "person", "ana")],
)
def test_a_cap_is_told_by_its_scope_and_target(target: object, scope: str, key: str) -> None:
    state = replace(CAPPED, cap=replace(CAPPED.cap, target=target))
    text = exposed(replace(FULL, caps=(state,)))
    assert value(text, "tripgate_cap_limit_bytes", scope=scope, target=key, period="day") == 100


@pytest.mark.parametrize(
    "name",
    [
        "tripgate_plan_limit_bytes",
        "tripgate_plan_used_bytes",
        "tripgate_plan_expires_timestamp_seconds",
        "tripgate_plan_exhaustion_timestamp_seconds",
    ],
)
def test_what_is_not_known_is_absent(name: str) -> None:
    assert value(exposed(Reading("1", "explicit", Book())), name) is None


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("tripgate_flows_cut_total", {"reason": "cap"}),
        ("tripgate_flows_total", {"verdict": "refuse-cap"}),
        ("tripgate_ledger_calls_total", {"call": "settle", "result": "error"}),
        ("tripgate_fail_open_bytes_total", {}),
    ],
)
def test_what_has_not_happened_yet_is_zero(name: str, labels: dict[str, str]) -> None:
    assert value(exposed(Reading("1", "explicit", Book())), name, **labels) == 0


@pytest.mark.parametrize(("state", "expected"), [("approved", 0), ("pending", None)])
def test_an_approved_device_has_zeros_before_its_first_bytes(
    state: str, expected: float | None
) -> None:
    book = Book(devices={PHONE.id: replace(PHONE, state=DeviceState(state))})
    text = exposed(replace(FULL, book=book, traffic={}))
    first = {"device": PHONE.id, "person": "ana", "category": "os-update", "direction": "up"}
    assert value(text, "tripgate_traffic_bytes_total", **first) == expected


# -- bounds ------------------------------------------------------------------------------------


def crowd(count: int) -> dict[tuple[str, str, str], int]:
    return {(f"dev-{number:04}", "video", "down"): 1 for number in range(count)}


def test_devices_beyond_the_bound_are_summed_as_other() -> None:
    text = exposed(replace(FULL, book=Book(), traffic=crowd(labels.MOST_DEVICES + 100)))
    text = "\n".join(line for line in text.splitlines() if "tripgate_traffic_bytes_total{" in line)
    devices = label_values(text, "device")
    assert len(devices) == labels.MOST_DEVICES + 1
    other = {"device": "other", "person": "", "category": "video", "direction": "down"}
    assert value(text, "tripgate_traffic_bytes_total", **other) == 100


def test_services_beyond_the_bound_are_summed_as_other() -> None:
    drains = {(PHONE.id, f"service {n}"): 1 for n in range(labels.MOST_SERVICES + 6)}
    text = exposed(replace(FULL, drains=drains))
    assert len(label_values(text, "service")) == labels.MOST_SERVICES + 1
    assert value(text, "tripgate_drain_bytes_total", device=PHONE.id, service="other") == 6


def test_a_device_keeps_its_label_when_later_ones_come_before_it() -> None:
    early = crowd(labels.MOST_DEVICES)
    empty = replace(FULL, book=Book())
    late = {("dev-9999", "video", "down"): 5, **early}
    text = exposed(replace(empty, traffic=early), replace(empty, traffic=late))
    assert {"dev-0000", "other"} <= label_values(text, "device")
    assert "dev-9999" not in label_values(text, "device")


def test_a_forgotten_device_keeps_its_counter() -> None:
    text = exposed(FULL, replace(FULL, book=Book()))
    counter = {"device": PHONE.id, "person": "", "category": "video", "direction": "down"}
    assert value(text, "tripgate_traffic_bytes_total", **counter) == 700


def test_at_most_200_devices_are_described() -> None:
    many = {f"dev-{n}": replace(PHONE, id=f"dev-{n}", name=f"dev-{n}") for n in range(300)}
    text = exposed(replace(FULL, book=Book(devices=many)))
    described = [name for name, _ in values(text) if name == "tripgate_device_info"]
    assert len(described) == 200


# -- what no label may say ---------------------------------------------------------------------


def test_neither_the_hardware_address_nor_the_ip_address_is_in_the_exposition() -> None:
    text = exposed(FULL)
    assert not re.search(r"(?:[0-9a-f]{2}:){5}", text)
    assert "10.77.0.20" not in text


@pytest.mark.parametrize(
    "name",
    ["02-00-5e-10-00-01", "phone-02005e100001", "192-168-1-20", "02:00:5e:10:00:01", "fe80::1"],
)
def test_a_name_that_spells_an_address_is_not_shown(name: str) -> None:
    book = Book(devices={PHONE.id: replace(PHONE, name=name)})
    text = exposed(replace(FULL, book=book))
    assert name not in text
    assert label_values(text, "name") == {PHONE.id}


@pytest.mark.parametrize("person", ["02-00-5e-10-00-01", "10-77-0-20"])
def test_a_person_called_like_an_address_is_other(person: str) -> None:
    book = Book(devices={PHONE.id: replace(PHONE, person=person)})
    assert label_values(exposed(replace(FULL, book=book)), "person") == {"other"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", "twolines"),
        ('quote"} 9\n# HELP evil', 'quote"} 9# HELP evil'),
        ("esc\x1b[31m", "esc[31m"),
        ("right\u202eleft", "rightleft"),
        ("x" * 5000, "x" * labels.LONGEST),
    ],
)
def test_a_hostile_name_is_cleaned_and_cannot_forge_a_line(name: str, shown: str) -> None:
    book = Book(devices={PHONE.id: replace(PHONE, name=name)})
    text = exposed(replace(FULL, book=book))
    assert label_values(text, "name") == {shown}
    assert {sample for sample, _ in values(text)} <= set(CONTRACT)


# -- over HTTP ---------------------------------------------------------------------------------


async def read() -> Reading:
    return FULL


async def ask(path: str = "/metrics", method: str = "GET", accept: str = "*/*") -> httpx.Response:
    transport = httpx.ASGITransport(create_app(read))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.request(method, path, headers={"accept": accept})


async def test_metrics_are_served_as_text() -> None:
    answer = await ask()
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert value(answer.text, "tripgate_ledger_up") == 1


async def test_metrics_are_served_as_openmetrics_to_who_prefers_it() -> None:
    answer = await ask(accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405)]
)
async def test_nothing_else_is_served(method: str, path: str, status: int) -> None:
    assert (await ask(path, method)).status_code == status


async def test_cpu_and_memory_of_the_process_are_beside_them() -> None:
    text = (await ask()).text
    assert "process_cpu_seconds_total" in text
    assert "process_resident_memory_bytes" in text


def test_a_registry_is_made_for_each_collector() -> None:
    first, second = make_registry(StateCollector()), make_registry(StateCollector())
    assert first is not second
    assert b"tripgate" not in generate_latest(first)


# -- in the docs -------------------------------------------------------------------------------


def test_the_metrics_reference_is_what_the_code_writes() -> None:
    page = Path(__file__).parents[1] / "docs" / "metrics.md"
    assert page.read_text() == docs.metrics.text(), "run: python -m docs.metrics"
