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
CONTACTS = DEPLOY / "grafana" / "contact-points"
FILES = sorted((*PROVISIONING.rglob("*.yml"), *CONTACTS.glob("*.yml")))


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_says_its_version(path: Path) -> None:
    assert load(path)["apiVersion"] == 1


def test_what_is_always_provisioned_needs_no_secret() -> None:
    """Grafana does not start with a contact point that lacks its values: those are copied."""
    text = "".join(path.read_text() for path in PROVISIONING.rglob("*.yml"))
    assert wanted(text) == {"TRIPGATE_PROMETHEUS_URL", "TRIPGATE_DASHBOARDS"}


def test_the_data_source_is_the_default_and_knows_the_scrape_interval() -> None:
    (source,) = load(PROVISIONING / "datasources" / "tripgate.yml")["datasources"]
    scraped = load(DEPLOY / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["jsonData"]["timeInterval"] == scraped


def test_the_dashboards_cannot_be_changed_behind_the_codes_back() -> None:
    (provider,) = load(PROVISIONING / "dashboards" / "tripgate.yml")["providers"]
    assert provider["allowUiUpdates"] is False


@pytest.mark.parametrize(
    ("name", "kind"), [("mail", "email"), ("telegram", "telegram"), ("webhook", "webhook")]
)
def test_a_contact_point_takes_the_values_that_alertmanager_takes(name: str, kind: str) -> None:
    path = CONTACTS / f"{name}.yml"
    (point,) = load(path)["contactPoints"]
    offered = (DEPLOY / "alertmanager" / "receivers" / f"{name}.yml").read_text()
    assert [one["type"] for one in point["receivers"]] == [kind]
    assert wanted(path.read_text()) <= wanted(offered)


def wanted(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", text))
