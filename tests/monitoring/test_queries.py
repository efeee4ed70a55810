"""Every query of every panel, variable and rule, against a real Prometheus that scraped a real
gateway under traffic: it returns data, or it is listed here with the reason why not."""

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import curl
from tests.monitoring.pages import EVERY_QUERY, PanelQuery, load
from tests.origin import http_talk, origin
from tests.prometheus import Prometheus, prometheus
from tests.running import Gateway, gateway

MB = 1_000_000
RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"

EMPTY: dict[str, str] = {}

VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    "${device:regex}": ".*",
    "${person:regex}": ".*",
}


def filled(expr: str, **chosen: str) -> str:
    """As Grafana sends it, with everything chosen but what ``chosen`` says."""
    values = {**VARIABLES, **{f"${{{name}:regex}}": value for name, value in chosen.items()}}
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in re.sub(r'"\$1"', "", expr), expr
    return expr


def carry_traffic(one: Gateway) -> None:
    """Known and unknown services, a refused connection, a cut one, a cap that is reached."""
    with origin(http_talk) as server:
        for host in ("www.youtube.com", "www.icloud.com", "unheard-of.example"):
            curl(one, f"{server.url}/{MB + MB // 10}", "-H", f"Host: {host}", via="connect")
        one.run("cap", "set", "this-machine", "5MB/day")
        curl(one, f"{server.url}/{20 * MB}")
        assert curl(one, f"{server.url}/1").status == 511
    one.rest()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("queries")
    shutil.copytree(RULES, folder / "rules")
    with gateway(folder / "state") as one, origin(http_talk) as server:
        one.run("person", "add", "ana")
        one.run("device", "approve", "this-machine", "--person", "ana")
        one.run("plan", "set", "--volume", "10GB", "--valid", "30d", "--start", "now")
        one.run("cap", "set", "person:ana", "1GB/week")
        one.run("cap", "set", "plan", "5GB/month")
        for host in ("www.youtube.com", "www.icloud.com", "unheard-of.example"):
            curl(one, f"{server.url}/1000", "-H", f"Host: {host}", via="connect")
        one.rest()
        with prometheus(folder, one.metrics, ["rules/*.yml"]) as watching:
            watching.wait('tripgate_traffic_bytes_total{category="video",direction="down"} > 0')
            carry_traffic(one)
            watching.wait('tripgate_drain_bytes_total{service="iCloud"} > 0')
            watching.wait('ALERTS{alertname="CapReached",alertstate="firing"}')
            watching.wait("instance:tripgate_plan_exhaustion_timestamp_seconds:forecast")
            yield watching


def numbers(found: list[dict[str, object]]) -> list[float]:
    return [float(one["value"][1]) for one in found]  # type: ignore[index]


@pytest.mark.parametrize("query", [one for one in EVERY_QUERY if str(one) not in EMPTY], ids=str)
def test_a_panels_query_returns_data(scraped: Prometheus, query: PanelQuery) -> None:
    found = numbers(scraped.query(filled(query.expr)))
    assert found
    assert not any(math.isnan(number) for number in found)


@pytest.mark.parametrize("query", [one for one in EVERY_QUERY if str(one) in EMPTY], ids=str)
def test_a_query_that_is_listed_as_empty_is(scraped: Prometheus, query: PanelQuery) -> None:
    assert not scraped.query(filled(query.expr)), EMPTY[str(query)]


def test_every_listed_query_exists() -> None:
    assert set(EMPTY) <= {str(query) for query in EVERY_QUERY}


CHOOSING = [query for query in EVERY_QUERY if "${person:regex}" in query.expr]


@pytest.mark.parametrize("query", CHOOSING, ids=str)
def test_a_choice_that_nobody_is_leaves_nothing(scraped: Prometheus, query: PanelQuery) -> None:
    assert not scraped.query(filled(query.expr, person="nobody-there"))


def test_the_people_of_the_variable_are_those_of_the_book(scraped: Prometheus) -> None:
    (variable,) = [v for v in load("trip.json")["templating"]["list"] if v["name"] == "person"]
    assert variable["query"] == "label_values(tripgate_device_info, person)"
    series = scraped.api("series", **{"match[]": "tripgate_device_info"})
    assert "ana" in {one["person"] for one in series}


def test_the_devices_of_the_variable_are_shown_by_name_and_asked_for_by_id(
    scraped: Prometheus,
) -> None:
    (variable,) = [v for v in load("trip.json")["templating"]["list"] if v["name"] == "device"]
    inner = re.fullmatch(r"query_result\((.*)\)", variable["query"])
    assert inner
    (one,) = scraped.query(filled(inner[1]))
    labels = sorted(one["metric"].items())
    text = "tripgate_device_info{" + ",".join(f'{k}="{v}"' for k, v in labels) + "} 1 0"
    found = re.search(variable["regex"].strip("/").replace("(?<", "(?P<"), text)
    assert found
    assert found["text"] == "this-machine"
    assert found["value"].startswith("dev-")


def test_a_bar_carries_the_devices_name(scraped: Prometheus) -> None:
    (query,) = [one for one in EVERY_QUERY if str(one) == "Trip: By device A"]
    (one,) = scraped.query(filled(query.expr))
    assert one["metric"]["name"] == "this-machine"


def test_caps_of_devices_people_and_the_plan_carry_a_name(scraped: Prometheus) -> None:
    (query,) = [one for one in EVERY_QUERY if str(one) == "Trip: Caps A"]
    names = {one["metric"]["name"] for one in scraped.query(filled(query.expr))}
    assert names == {"this-machine", "ana", "plan"}


def test_every_rule_is_evaluated_without_error(scraped: Prometheus) -> None:
    rules = [rule for group in scraped.api("rules")["groups"] for rule in group["rules"]]
    assert rules
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}


def test_every_recorded_series_has_data(scraped: Prometheus) -> None:
    rules = [rule for group in scraped.api("rules")["groups"] for rule in group["rules"]]
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert recorded
    assert [name for name in recorded if not scraped.query(f"{{__name__={name!r}}}")] == []


def test_only_the_alerts_of_what_happened_fire(scraped: Prometheus) -> None:
    firing = scraped.query('ALERTS{alertstate="firing"}')
    assert {one["metric"]["alertname"] for one in firing} == {"CapReached"}
