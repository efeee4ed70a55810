"""The embedded ledger's user: all that a gateway and its commands do, and a password not shown."""

import contextlib
from pathlib import Path
from urllib.request import urlopen

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.e2e.clients import curl
from tests.origin import http_talk, origin
from tests.running import Gateway, gateway
from tripgate.ledger import address, embeddedconf
from tripgate.statefolder import StateFolder

MB = 1_000_000
COMMANDS = ("status", "doctor", "device list", "plan show", "usage", "audit", "notify list")


def test_a_gateway_does_all_its_work_under_its_user(tmp_path: Path) -> None:
    with gateway(tmp_path / "state") as one, origin(http_talk) as server:
        one.run("cap", "set", "this-machine", "500MB/day")
        assert curl(one, f"{server.url}/{MB}").volume == MB
        one.settled_use()
        one.run("backup", str(tmp_path / "trip"))
        assert one.stop() == 0
        as_before_the_users(one)
        one.run("restore", str(tmp_path / "trip"))
        one.start()
        assert one.settled_use() >= MB
        assert curl(one, f"{server.url}/{MB}").volume == MB
        assert "permit" not in one.log.read_text()


def as_before_the_users(one: Gateway) -> None:
    """The address of the ledger as a version without users wrote it."""
    folder = StateFolder(one.state)
    url = folder.read_redis_url() or ""
    assert address.parse(url).username == "tripgate"
    folder.write_redis_url(f"unix://{url.partition('@')[2]}")


def test_the_ledger_s_password_is_shown_nowhere(tmp_path: Path) -> None:
    with gateway(tmp_path / "state") as one, origin(http_talk) as server:
        curl(one, f"{server.url}/{MB}")
        secret = embeddedconf.password(one.state / "redis")
        assert secret
        shown = said(one) + arguments()
        with urlopen(f"http://127.0.0.1:{one.metrics}/metrics") as page:
            shown.append(page.read().decode())
        assert one.stop() == 0
        shown += [*said(one), one.log.read_text(), (one.state / "redis/valkey.log").read_text()]
        assert not any(secret in text for text in shown)


def said(one: Gateway) -> list[str]:
    """What commands say, to people and to programs."""
    asked = [(*command.split(), *how) for command in COMMANDS for how in ((), ("--json",))]
    return [done.stdout + done.stderr for done in (one.cli(*args) for args in asked)]


def arguments() -> list[str]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return found


@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG SET dir /", "SHUTDOWN"])
def test_who_has_the_socket_and_no_password_is_refused(running: Gateway, command: str) -> None:
    path = str(StateFolder(running.state).redis_socket)
    with (
        redis.Redis(unix_socket_path=path, protocol=2, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(RedisError, match="Authentication required"),
    ):
        client.execute_command(*command.split())
    assert running.json("status")["ledger"] == "up"
