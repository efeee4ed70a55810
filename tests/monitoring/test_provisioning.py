"""What Grafana is given at its start: sources, folders and contact points that fit the rest.

Grafana itself is not in Debian, so that it starts with these files is not tested here.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

DEPLOY = Path(__file__).parents[2] / "deploy"
PROVISIONING = DEPLOY / "grafana" / "provisioning"
FILES = sorted(path for path in PROVISIONING.rglob("*.yml"))


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_file_says_its_version(path: Path) -> None:
    assert load(path)["apiVersion"] == 1


def test_there_is_one_of_each_kind() -> None:
    assert {path.parent.name for path in FILES} == {"datasources", "dashboards", "alerting"}


def test_the_data_source_is_the_default_and_knows_the_scrape_interval() -> None:
    (source,) = load(PROVISIONING / "datasources" / "tripgate.yml")["datasources"]
    scraped = load(DEPLOY / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["jsonData"]["timeInterval"] == scraped


def test_the_dashboards_cannot_be_changed_behind_the_codes_back() -> None:
    (provider,) = load(PROVISIONING / "dashboards" / "tripgate.yml")["providers"]
    assert provider["allowUiUpdates"] is False


def test_the_contact_points_are_mail_telegram_and_webhook() -> None:
    (point,) = load(PROVISIONING / "alerting" / "tripgate.yml")["contactPoints"]
    assert {one["type"] for one in point["receivers"]} == {"email", "telegram", "webhook"}


def test_contact_points_and_alertmanager_ask_for_values_of_the_same_names() -> None:
    wanted = set(re.findall(r"\$\{(\w+)\}", (PROVISIONING / "alerting/tripgate.yml").read_text()))
    receivers = (DEPLOY / "alertmanager" / "receivers").iterdir()
    offered = set(re.findall(r"\$\{(\w+)\}", "".join(path.read_text() for path in receivers)))
    assert wanted <= offered
