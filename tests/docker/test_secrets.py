"""deploy/compose/configure: makes the secrets once; its Redis user may do what is needed only."""

import shutil
import stat
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from tests.ledger.worlds import ASK, NOW, PHONE, ROW, RedisWorld, claimed, counter
from tests.servers import DURABLE, SOCKET, Server, debian_program, valkey_program
from tripgate.cli.backup import ledger as backup
from tripgate.core.book import Book
from tripgate.core.usage import Increment
from tripgate.ledger.connection import Connection
from tripgate.ledger.protocol import Edit
from tripgate.upgrade import upgrade

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMES = {"alertmanager.yml", "gateway.toml", "grafana-password", "redis.acl"}


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("secrets")
    return Path(shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=ignore))


def configure(deploy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [deploy / "compose/configure", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def secrets(deploy: Path) -> Path:
    done = configure(deploy)
    assert done.returncode == 0, done.stderr
    return deploy / "compose/secrets"


def test_every_secret_is_made_in_a_folder_of_its_owner(secrets: Path) -> None:
    assert {path.name for path in secrets.iterdir()} == NAMES
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}


def test_a_second_time_changes_nothing(deploy: Path, secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    assert (configure(deploy).stdout, NAMES) == ("", set(before))
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_users_of_an_earlier_version_get_todays_rights_and_keep_the_password(
    deploy: Path, secrets: Path
) -> None:
    users = secrets / "redis.acl"
    today = users.read_text()
    users.chmod(0o600)
    users.write_text(today.replace(" +hincrby", ""))
    assert configure(deploy).returncode == 0
    assert users.read_text() == today


def test_a_missing_one_is_made_again(deploy: Path, secrets: Path) -> None:
    (secrets / "grafana-password").unlink()
    assert configure(deploy).returncode == 0
    assert len((secrets / "grafana-password").read_text()) > 16


def test_half_of_the_ledgers_pair_is_refused(deploy: Path, secrets: Path) -> None:
    (secrets / "redis.acl").unlink()
    done = configure(deploy)
    assert (done.returncode, "put it back" in done.stderr) == (1, True)


def test_nothing_of_a_secret_is_printed(deploy: Path) -> None:
    done = configure(deploy)
    folder = deploy / "compose/secrets"
    assert password(folder) not in done.stdout + done.stderr
    assert (folder / "grafana-password").read_text() not in done.stdout + done.stderr


def test_receivers_get_their_values(deploy: Path, secrets: Path, tmp_path: Path) -> None:
    (tmp_path / "values").write_text("WEBHOOK_URL=https://example.com/hook\n")
    done = configure(deploy, str(tmp_path / "values"), "webhook")
    assert done.returncode == 0, done.stderr
    text = (secrets / "alertmanager.yml").read_text()
    assert "https://example.com/hook" in text
    assert '"/etc/alertmanager/templates/*.tmpl"' in text
    assert str(deploy) not in text
    assert {path.name for path in secrets.iterdir()} == NAMES


def test_a_receiver_without_its_values_leaves_all_as_it_was(
    deploy: Path, secrets: Path, tmp_path: Path
) -> None:
    before = (secrets / "alertmanager.yml").read_text()
    (tmp_path / "values").write_text("")
    assert configure(deploy, str(tmp_path / "values"), "webhook").returncode == 1
    assert (secrets / "alertmanager.yml").read_text() == before


# -- the Redis user ----------------------------------------------------------------------------


def password(secrets: Path) -> str:
    url = tomllib.loads((secrets / "gateway.toml").read_text())["redis"]
    return str(url).split("tripgate:", 1)[1].partition("@")[0]


class Guarded(Server):
    """A server that answers nobody without a name."""

    def client(self, user: str = "health", password: str = "any") -> "redis.Redis":
        path = str(self.folder / SOCKET)
        return redis.Redis(unix_socket_path=path, username=user, password=password)


@pytest.fixture(params=[valkey_program, debian_program], ids=["valkey", "redis"])
def server(request: pytest.FixtureRequest, secrets: Path) -> Iterator[Guarded]:
    acl = ("--aclfile", str(secrets / "redis.acl"))
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as folder:
        always = ("--appendfsync", "always")  # a kill is to lose nothing that was answered
        made = Guarded(request.param(), Path(folder), *DURABLE, *always, *acl)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture
def url(server: Guarded, secrets: Path) -> str:
    return f"unix://tripgate:{password(secrets)}@{server.folder}/redis.sock"


async def test_the_user_may_do_all_that_the_ledger_does(url: str) -> None:
    world = RedisWorld(url)
    ledger, registry = await claimed(world), world.registry()
    async for _ in registry.changes():
        break
    await ledger.grant(ASK)
    await ledger.settle([replace(ROW, used=1, parts=1)], {"dev-aaaa": NOW}, NOW)
    assert await counter(ledger) == (1, ASK.want - 1)
    assert await ledger.open_leases() == (ASK.lease,)
    await ledger.settle([replace(ROW, used=1, parts=1, final=True)], {}, NOW)
    assert await registry.replace(0, Book(), Edit("cli:ana", "plan set", "", NOW))
    assert (await registry.load())[0] == 1
    assert len(await registry.audit()) == 1
    assert await ledger.buckets(["use:dev-aaaa:life"])
    assert (await ledger.tallies([PHONE])).counters
    await ledger.ping()
    await world.aclose()


async def test_the_user_may_back_up_and_restore(url: str) -> None:
    world, connection = RedisWorld(url), Connection(url)
    await (await claimed(world)).grant(ASK)
    await world.registry().replace(0, Book(), Edit("cli:ana", "plan set", "", NOW))
    saved = [item async for item in backup.items(connection)]
    await backup.clear(connection)
    await backup.put(connection, saved)
    assert {item.key for item in saved} >= {"audit", "book", "open"}
    assert "open" in await backup.names(connection)
    await connection.aclose()
    await world.aclose()


async def test_the_user_may_fold_a_device_into_another(url: str) -> None:
    world = RedisWorld(url)
    ledger, registry = await claimed(world), world.registry()
    for number, device in enumerate(("dev-aaaa", "dev-bbbb")):
        spot = Increment(f"use:{device}:life", "v|u", 5)
        row = replace(ROW, lease=f"gw:one:{number}", device=device, used=5, parts=5)
        await ledger.settle([replace(row, increments=(spot,))], {}, NOW)
    for version, fold in enumerate((("dev-aaaa", "dev-bbbb"), ("dev-bbbb", "dev-cccc"))):
        edit = Edit("cli:ana", "device merge", "", NOW, (fold,))
        assert await registry.replace(version, Book(), edit)
    assert await ledger.buckets(["use:dev-cccc:life"]) == ({"v|u": 10},)
    await world.aclose()


async def test_the_user_may_upgrade(url: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("{plan}:schema", "1")
        client.hset("{plan}:use:dev-aaaa:life", "youtube|video|d", 7)
    await upgrade(url, tmp_path, "gw", NOW)
    world = RedisWorld(url)
    assert await world.ledger().buckets(["use:dev-aaaa:life"]) == ({"vyoutube|d": 7},)
    await world.aclose()


FORBIDDEN = (
    *("FLUSHALL", "FLUSHDB", "SHUTDOWN", "KEYS *", "CONFIG GET dir", "ACL LIST", "MONITOR", "SAVE"),
    *("BGSAVE", "REPLICAOF NO ONE", "SCRIPT FLUSH", "CLIENT LIST", "MODULE LIST", "FUNCTION LIST"),
    *("EVAL x 0", "GET other", "SET other 1", "SUBSCRIBE other", "PUBLISH other x"),
    *("RENAME {plan}:a b", "RENAME a {plan}:b", "DUMP {plan}:a"),
)


@pytest.mark.parametrize("command", FORBIDDEN)
def test_the_user_may_do_nothing_else(url: str, command: str) -> None:
    with redis.Redis.from_url(url) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


async def test_what_a_script_wrote_is_there_after_a_kill(url: str, server: Guarded) -> None:
    """The server reads its file in the name of a user, whose rights it applies to transactions."""
    world = RedisWorld(url)
    await (await claimed(world)).grant(ASK)
    server.kill()
    server.start()
    assert await counter(world.ledger()) == (0, ASK.want)
    await world.aclose()


@pytest.mark.parametrize("command", ["PING", "GET {plan}:book", "INFO", "ACL WHOAMI"])
def test_nobody_is_answered_without_a_name(server: Guarded, command: str) -> None:
    path = str(server.folder / SOCKET)
    with redis.Redis(unix_socket_path=path) as client, pytest.raises(AuthenticationError):
        client.execute_command(*command.split())


@pytest.mark.parametrize("command", ["GET {plan}:book", "INFO", "EVALSHA x 0", "ACL WHOAMI"])
def test_the_health_check_may_ping_and_nothing_else(server: Guarded, command: str) -> None:
    with server.client() as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.execute_command(*command.split())


@pytest.mark.parametrize("user", ["tripgate", "default"])
def test_another_password_is_refused(server: Guarded, user: str) -> None:
    with server.client(user) as client, pytest.raises(AuthenticationError):
        client.ping()
