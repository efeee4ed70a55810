"""Prometheus' configuration and rules: valid, tested, and no alert without a test."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"


def promtool(*args: str, at: Path = DEPLOY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *args], cwd=at, capture_output=True, text=True, check=False)


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def rules(name: str) -> list[Any]:
    groups = load(DEPLOY / "rules" / name)["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule["alert"] for rule in rules("alerts.yml")]


def test_the_configuration_is_valid() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_pass_their_tests() -> None:
    done = promtool("test", "rules", "tests/alerts.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_that_is_taken_out_is_missed(alert: str, tmp_path: Path) -> None:
    """The rules' own tests fail without it."""
    for name in ("rules", "tests"):
        (tmp_path / name).mkdir()
        for path in (DEPLOY / name).iterdir():
            (tmp_path / name / path.name).write_text(path.read_text())
    path = tmp_path / "rules" / "alerts.yml"
    document = load(path)
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] != alert]
    with path.open("w") as out:
        YAML().dump(document, out)
    assert promtool("test", "rules", "tests/alerts.test.yml", at=tmp_path).returncode == 1


@pytest.mark.parametrize("rule", rules("alerts.yml"), ids=ALERTS)
def test_an_alert_says_how_grave_it_is_and_what_to_do(rule: Any) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"]


def test_the_gateway_is_scraped_where_it_serves_by_default() -> None:
    jobs = {job["job_name"]: job for job in load(DEPLOY / "prometheus.yml")["scrape_configs"]}
    assert jobs["tripgate"]["static_configs"] == [{"targets": ["127.0.0.1:9108"]}]
