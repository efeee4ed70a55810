"""compose.yaml and what belongs to it, looked at without a daemon."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import tripgate
from tripgate.settings import Settings, load

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load(ROOT / "compose.yaml")
SERVICES = COMPOSE["services"]
PINNED = re.compile(r"[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.-]+)?")
OPEN = ["0.0.0.0:8080:8080", "0.0.0.0:1080:1080", "0.0.0.0:8088:8088"]

each = pytest.mark.parametrize("name", SERVICES)


@each
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@each
def test_a_service_is_checked_and_started_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@each
def test_a_version_is_pinned(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


@each
def test_its_log_is_bounded(name: str) -> None:
    assert SERVICES[name]["logging"]["options"] == {"max-size": "5m", "max-file": "3"}


def test_only_proxy_and_portal_are_open_to_the_lan() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert [port for port in published if not port.startswith("127.0.0.1:")] == OPEN


def test_only_the_router_has_rights() -> None:
    assert [name for name in SERVICES if "cap_add" in SERVICES[name]] == ["router"]
    assert [name for name in SERVICES if SERVICES[name].get("network_mode") == "host"] == ["router"]
    assert SERVICES["router"]["profiles"] == ["router"]


def test_redis_has_no_network() -> None:
    assert SERVICES["redis"]["network_mode"] == "none"
    lines = (ROOT / "deploy/compose/redis.conf").read_text().splitlines()
    assert {"port 0", "appendonly yes", "maxmemory-policy noeviction"} <= set(lines)


def test_images_of_the_gateway_bear_its_version() -> None:
    tags = {SERVICES[name]["image"].rpartition(":")[2] for name in ("gateway", "router")}
    assert tags == {tripgate.__version__}


def test_the_base_image_is_named_once_and_pinned() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (base,) = re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE)
    assert PINNED.fullmatch(base)
    froms = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(froms) == {"${BASE}", "runtime"}


def test_prometheus_differs_from_the_one_beside_the_gateway_by_names_alone() -> None:
    plain = YAML(typ="safe").load(ROOT / "deploy/prometheus/prometheus.yml")
    ours = YAML(typ="safe").load(ROOT / "deploy/compose/prometheus.yml")
    plain["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": ["alertmanager:9093"]}]
    job = plain["scrape_configs"][0]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": ["targets.yml"]}]
    assert ours == plain


@pytest.mark.parametrize("name", ["gateway", "router"])
def test_prometheus_asks_where_the_gateway_tells(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(name, monkeypatch)
    (group,) = YAML(typ="safe").load(ROOT / f"deploy/compose/targets/{name}.yml")
    host, _, port = group["targets"][0].rpartition(":")
    assert settings.metrics
    assert int(port) == settings.metrics.port
    assert host == {"gateway": "gateway", "router": settings.metrics.hosts[0]}[name]


def test_the_routers_metrics_are_at_the_hosts_end_of_the_network() -> None:
    (network,) = COMPOSE["networks"]["monitoring"]["ipam"]["config"]
    address = SERVICES["router"]["environment"]["TRIPGATE_METRICS"]
    assert address == f"{network['gateway']}:9108"


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the container's environment makes them, with the defaults of compose.yaml."""
    environment: dict[str, Any] = {**SERVICES[name]["environment"]}
    del environment["TRIPGATE_CONFIG"]
    for key, value in environment.items():
        monkeypatch.setenv(key, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    return load()
