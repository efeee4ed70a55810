"""A stock Prometheus scrapes a gateway that carries traffic."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import curl
from tests.e2e.test_caps import within
from tests.origin import http_talk, origin
from tests.prometheus import Prometheus, prometheus
from tests.running import Gateway, gateway

MB = 1_000_000


@pytest.fixture(scope="module")
def scraped(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Gateway, Prometheus]]:
    """A gateway that moved 5 MB before and 3 MB while Prometheus was looking."""
    folder = tmp_path_factory.mktemp("scraped")
    with gateway(folder / "state") as one, origin(http_talk) as server:
        one.run("cap", "set", "this-machine", "100MB/day")
        one.run("plan", "set", "--volume", "10GB", "--valid", "30d", "--start", "now")
        curl(one, f"{server.url}/{5 * MB}")
        one.rest()
        with prometheus(folder, one.metrics) as server_of_metrics:
            server_of_metrics.wait("tripgate_traffic_bytes_total > 5e6")
            curl(one, f"{server.url}/{3 * MB}")
            one.rest()
            server_of_metrics.wait("tripgate_traffic_bytes_total > 8e6")
            yield one, server_of_metrics


def test_the_target_is_up(scraped: tuple[Gateway, Prometheus]) -> None:
    assert scraped[1].value('up{job="tripgate"}') == 1


def test_the_devices_traffic_is_what_the_usage_command_says(
    scraped: tuple[Gateway, Prometheus],
) -> None:
    one, server = scraped
    assert server.value("sum by (device) (tripgate_traffic_bytes_total)") == one.used()


def test_an_increase_is_seen_as_a_rate(scraped: tuple[Gateway, Prometheus]) -> None:
    found = scraped[1].value('sum(rate(tripgate_uplink_bytes_total{direction="down"}[1m]))')
    assert found is not None
    assert found > 0


def test_the_cap_is_what_the_cap_command_says(scraped: tuple[Gateway, Prometheus]) -> None:
    one, server = scraped
    (cap,) = one.json("cap", "list")
    assert server.value("tripgate_cap_limit_bytes") == cap["limit"] == 100 * MB
    assert server.value("tripgate_cap_used_bytes") == cap["used"]


def test_the_plan_is_what_the_plan_command_says(scraped: tuple[Gateway, Prometheus]) -> None:
    one, server = scraped
    plan = one.json("plan", "show")
    assert server.value("tripgate_plan_limit_bytes") == plan["volume"]
    assert server.value("tripgate_plan_used_bytes") == plan["used"]


def test_no_label_carries_an_address_or_a_host(scraped: tuple[Gateway, Prometheus]) -> None:
    series = scraped[1].api("series", **{"match[]": '{__name__=~"tripgate_.*"}'})
    own = [
        value for one in series for name, value in one.items() if name not in ("instance", "job")
    ]
    assert own
    assert not [value for value in own if re.search(r"\d+\.\d+\.\d+\.\d+|:|localhost", value)]


def test_a_scrape_without_a_ledger_says_so(tmp_path: Path) -> None:
    with gateway(tmp_path / "state") as one:
        pid = int((one.state / "redis" / "valkey.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            assert within(10, lambda: "tripgate_ledger_up 0.0" in scrape(one))
        finally:
            os.kill(pid, signal.SIGCONT)
        assert within(10, lambda: "tripgate_ledger_up 1.0" in scrape(one))


def scrape(one: Gateway) -> str:
    return httpx.get(f"http://127.0.0.1:{one.metrics}/metrics").text


def test_the_metrics_are_bound_where_the_settings_say_and_nowhere_else(
    scraped: tuple[Gateway, Prometheus],
) -> None:
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.2", scraped[0].metrics))


def test_metrics_that_are_off_are_not_served(tmp_path: Path) -> None:
    with gateway(tmp_path / "state", "--metrics", "off") as one, pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{one.metrics}/metrics")
