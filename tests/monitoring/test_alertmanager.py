"""Alertmanager's configuration: valid, filled in safely, and seen to tell the right alerts."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

from tests.running import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "alertmanager"
VALUES = {
    "MAIL_TO": "ana@example.org",
    "MAIL_FROM": "gateway@example.org",
    "MAIL_SERVER": "mail.example.org:587",
    "MAIL_USER": "gateway",
    "MAIL_PASSWORD": "made$up",
    "TELEGRAM_TOKEN": "123:abc-DEF_4",
    "TELEGRAM_CHAT": "-42",
    "WEBHOOK_URL": "http://127.0.0.1:9/hook",
}
EVERYTHING = ("mail", "telegram", "webhook")
WAIT_S = 30.0


def configure(
    folder: Path, *receivers: str, **changes: str
) -> tuple[subprocess.CompletedProcess[str], Path]:
    values, out = folder / "values", folder / "alertmanager.yml"
    values.write_text("".join(f"{k}={v}\n" for k, v in {**VALUES, **changes}.items()))
    done = subprocess.run(
        [FOLDER / "configure", values, out, *receivers],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, out


def amtool(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *args], capture_output=True, text=True, check=False)


def test_the_committed_configuration_is_valid() -> None:
    done = amtool("check-config", FOLDER / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("receivers", [("mail",), ("telegram",), ("webhook",), EVERYTHING])
def test_with_the_values_filled_in_it_is_valid(tmp_path: Path, receivers: tuple[str, ...]) -> None:
    made, out = configure(tmp_path, *receivers)
    assert made.returncode == 0, made.stderr
    done = amtool("check-config", out)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_owner_may_read_the_written_file(tmp_path: Path) -> None:
    _, out = configure(tmp_path, *EVERYTHING)
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_file_that_all_could_read_is_replaced_by_one_that_only_the_owner_can(
    tmp_path: Path,
) -> None:
    (tmp_path / "alertmanager.yml").write_text("old")
    _, out = configure(tmp_path, "mail")
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_PASSWORD", 'x"\nreceivers: []'),
        ("MAIL_PASSWORD", 'quote"d'),
        ("MAIL_PASSWORD", "back\\slash"),
        ("MAIL_TO", "nobody"),
        ("TELEGRAM_CHAT", "42, evil: 1"),
        ("WEBHOOK_URL", "file:///etc/passwd"),
    ],
)
def test_a_value_that_would_break_the_file_is_refused_without_being_told(
    tmp_path: Path, name: str, value: str
) -> None:
    done, out = configure(tmp_path, *EVERYTHING, **{name: value})
    assert done.returncode == 1
    assert name in done.stderr
    assert value.split("\n")[0] not in done.stderr
    assert not out.exists()


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    done, _ = configure(tmp_path, "telegram", TELEGRAM_TOKEN="")
    assert done.returncode == 1
    assert "telegram needs TELEGRAM_TOKEN" in done.stderr


def test_an_unknown_receiver_is_refused(tmp_path: Path) -> None:
    done, _ = configure(tmp_path, "pigeon")
    assert done.returncode == 1
    assert "pigeon" in done.stderr


@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "owner"), ("warning", "owner"), ("info", "nobody")]
)
def test_an_alert_is_told_by_its_severity(severity: str, receiver: str) -> None:
    config = f"--config.file={FOLDER / 'alertmanager.yml'}"
    done = amtool("config", "routes", "test", config, f"severity={severity}")
    assert done.stdout.strip() == receiver


# -- a real Alertmanager -----------------------------------------------------------------------


class Hook(HTTPServer):
    """Takes what Alertmanager's webhook sends."""

    def __init__(self) -> None:
        self.got: Queue[Any] = Queue()
        got = self.got

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Take)


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def alertmanager(tmp_path: Path, hook: Hook) -> Iterator[str]:
    """The address of a real one, told to wait one second instead of 30."""
    made, out = configure(tmp_path, "webhook", WEBHOOK_URL=f"http://127.0.0.1:{hook.server_port}/")
    assert made.returncode == 0, made.stderr
    text = out.read_text().replace("group_wait: 30s", "group_wait: 1s")
    out.write_text(text.replace("group_wait: 10s", "group_wait: 1s"))
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={out}",
             f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address=",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + WAIT_S
        while not ready(url):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


def fire(url: str, *alerts: dict[str, str]) -> None:
    where = {"instance": "gw", "job": "tripgate"}
    text = {"summary": "something is", "action": "look"}
    body = [{"labels": {**where, **labels}, "annotations": text} for labels in alerts]
    assert httpx.post(f"{url}/api/v2/alerts", json=body).status_code == 200


def test_caps_reached_at_once_come_in_one_message(alertmanager: str, hook: Hook) -> None:
    cap = {"alertname": "CapReached", "severity": "warning", "period": "day", "scope": "device"}
    fire(alertmanager, {**cap, "target": "dev-aaaa"}, {**cap, "target": "dev-bbbb"})
    message = hook.got.get(timeout=WAIT_S)
    assert {one["labels"]["target"] for one in message["alerts"]} == {"dev-aaaa", "dev-bbbb"}


@pytest.mark.parametrize(
    ("cause", "symptom"),
    [
        ("TripgateDown", "LedgerDown"),
        ("LedgerDown", "LedgerErrors"),
        ("PlanAlmostGone", "PlanNearlyUsed"),
        ("PlanExpired", "PlanRunsOutEarly"),
        ("CapReached", "CapNearlyUsed"),
    ],
)
def test_a_cause_hides_its_symptom(alertmanager: str, cause: str, symptom: str) -> None:
    fire(alertmanager, {"alertname": cause, "severity": "critical"})
    fire(alertmanager, {"alertname": symptom, "severity": "warning"})
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and not inhibited(alertmanager, symptom):
        time.sleep(0.1)
    assert inhibited(alertmanager, symptom)
    assert not inhibited(alertmanager, cause)


def inhibited(url: str, name: str) -> bool:
    alerts = httpx.get(f"{url}/api/v2/alerts").json()
    return any(one["status"]["inhibitedBy"] for one in alerts if one["labels"]["alertname"] == name)


def test_an_alert_of_another_gateway_is_not_hidden(alertmanager: str) -> None:
    fire(alertmanager, {"alertname": "LedgerErrors", "instance": "other", "severity": "warning"})
    fire(alertmanager, {"alertname": "LedgerErrors", "severity": "warning"})
    fire(alertmanager, {"alertname": "LedgerDown", "severity": "critical"})
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and not inhibited(alertmanager, "LedgerErrors"):
        time.sleep(0.1)
    alerts = httpx.get(f"{alertmanager}/api/v2/alerts").json()
    errors = [one for one in alerts if one["labels"]["alertname"] == "LedgerErrors"]
    hidden = {one["labels"]["instance"]: bool(one["status"]["inhibitedBy"]) for one in errors}
    assert hidden == {"gw": True, "other": False}
