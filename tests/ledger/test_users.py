"""The embedded server's users: ``tripgate`` may do what is needed, nobody else does anything."""

import asyncio
import fcntl
import importlib.util
import os
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.retry import Retry

from tests.ledger.worlds import ASK, KIB, MIB, ROW, RedisWorld, claimed, counter, settled
from tests.servers import debian_program, valkey_program
from tripgate.ledger import embedded, embeddedconf, users
from tripgate.ledger.embedded import EmbeddedServer, _program
from tripgate.ledger.protocol import LedgerDown
from tripgate.ledger.redis import RedisLedger

CONFIGURE = Path(__file__).parents[2] / "deploy/compose/configure"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short state folder; whatever server runs there at the end is ended."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as name:
        yield Path(name)
        made(Path(name)).stop()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """One for the tests that only ask."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as name:
        one = made(Path(name))
        one.start()
        yield one
        one.stop()


def made(folder: Path) -> EmbeddedServer:
    return EmbeddedServer(folder / "redis", folder / "redis.sock")


def client(server: EmbeddedServer) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


def nobody(server: EmbeddedServer, **who: str) -> "redis.Redis":
    """A client that takes no for an answer at once."""
    path, once = str(server.socket), Retry(NoBackoff(), 0)
    return redis.Redis(unix_socket_path=path, protocol=2, retry=once, **who)  # type: ignore[arg-type]


def password(server: EmbeddedServer) -> str:
    return (server.folder / embeddedconf.PASSWORD).read_text().strip()


def pid(server: EmbeddedServer) -> int:
    return int((server.folder / embeddedconf.PID).read_text())


def kill(server: EmbeddedServer) -> None:
    os.kill(pid(server), signal.SIGKILL)
    while server.alive():
        pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- who is answered ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["PING", "INFO", "GET {plan}:book", "SHUTDOWN", "ACL WHOAMI"])
def test_nobody_is_answered_without_a_name(server: EmbeddedServer, command: str) -> None:
    with nobody(server) as connected, pytest.raises(AuthenticationError, match="required"):
        connected.execute_command(*command.split())


@pytest.mark.parametrize("user", ["tripgate", "default"])
@pytest.mark.parametrize("word", ["", "any", "x" * 43])
def test_another_password_is_refused(server: EmbeddedServer, user: str, word: str) -> None:
    with (
        nobody(server, username=user, password=word) as connected,
        pytest.raises(AuthenticationError),
    ):
        connected.ping()


def test_the_password_does_not_make_one_the_default_user(server: EmbeddedServer) -> None:
    with (
        nobody(server, username="default", password=password(server)) as connected,
        pytest.raises(AuthenticationError),
    ):
        connected.ping()


FORBIDDEN = (
    *("FLUSHALL", "FLUSHDB", "KEYS *", "MONITOR", "SAVE", "BGREWRITEAOF", "MODULE LIST"),
    *("CONFIG GET dir", "CONFIG SET dir /", "CONFIG REWRITE"),
    *("ACL LIST", "ACL SETUSER tripgate allcommands", "ACL SAVE", "REPLICAOF NO ONE"),
    *("SCRIPT FLUSH", "FUNCTION LIST", "CLIENT LIST", "EVAL x 0", "GET other", "SET other 1"),
    *("SUBSCRIBE other", "RENAME {plan}:a b", "DUMP {plan}:a"),
)


@pytest.mark.parametrize("command", FORBIDDEN)
def test_the_gateway_s_user_may_do_nothing_that_it_does_not_need(
    server: EmbeddedServer, command: str
) -> None:
    with client(server) as connected, pytest.raises(NoPermissionError):
        connected.execute_command(*command.split())


@pytest.mark.parametrize("command", ["DEBUG SLEEP 0", "MODULE LOAD x"])
def test_nobody_may_do_what_the_server_is_built_to_refuse(
    server: EmbeddedServer, command: str
) -> None:
    with client(server) as connected, pytest.raises(ResponseError, match="not allowed"):
        connected.execute_command(*command.split())


def test_the_rights_in_containers_are_the_same() -> None:
    configure = loaded(CONFIGURE)
    assert configure.COMMANDS == users.COMMANDS
    lines = configure.acl("0" * 64).splitlines(keepends=True)
    assert [line for line in lines if not line.startswith("user health ")] == [
        users.DEFAULT,
        users.gateway("0" * 64),
    ]


def loaded(script: Path) -> ModuleType:
    loader = SourceFileLoader("configure", str(script))
    spec = importlib.util.spec_from_loader("configure", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# -- the password ------------------------------------------------------------------------------


def test_the_password_is_made_once_and_is_its_owner_s(folder: Path) -> None:
    server = made(folder)
    first = server.start()
    assert mode(server.folder / embeddedconf.PASSWORD) == 0o600
    assert mode(server.folder / embeddedconf.USERS) == 0o600
    server.stop()
    assert made(folder).start() == first


def test_two_folders_have_two_passwords(folder: Path) -> None:
    socket = folder / "redis.sock"
    one, two = (folder / name for name in ("one", "two"))
    one.mkdir()
    two.mkdir()
    assert embeddedconf.kept_password(one, socket) != embeddedconf.kept_password(two, socket)


def test_the_group_of_a_shared_folder_reads_the_password_and_writes_it_not(folder: Path) -> None:
    folder.chmod(0o770)
    server = made(folder)
    server.start()
    assert mode(server.folder / embeddedconf.PASSWORD) == 0o640
    assert mode(server.folder / embeddedconf.USERS) == 0o600


@pytest.mark.parametrize("left", ["", "short\n", "x" * 42 + " ~* +@all\n"])
def test_a_damaged_password_is_made_anew(folder: Path, left: str) -> None:
    server = made(folder)
    server.folder.mkdir()
    (server.folder / embeddedconf.PASSWORD).write_text(left)
    server.start()
    with client(server) as connected:
        assert connected.ping()
    assert len(password(server)) == 43


async def test_the_password_is_in_no_other_file_argument_or_message(folder: Path) -> None:
    server = made(folder)
    await asyncio.to_thread(server.start)
    secret = password(server)
    with pytest.raises(AuthenticationError), nobody(server, password=secret) as connected:
        connected.ping()  # what is refused may be logged
    process = Path(f"/proc/{pid(server)}")
    shown = [(process / name).read_bytes() for name in ("cmdline", "environ")]
    await asyncio.to_thread(server.stop)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != embeddedconf.PASSWORD:
            shown.append(path.read_bytes())
    assert not any(secret.encode() in text for text in shown)
    ledger = RedisLedger(server.url)
    with pytest.raises(LedgerDown) as told:
        await ledger.ping()
    assert secret not in f"{told.value} {told.value.__cause__} {ledger!r} {server!r}"
    await ledger.aclose()


# -- what was written stays --------------------------------------------------------------------


@pytest.mark.parametrize("ended", ["killed", "stopped"])
@pytest.mark.parametrize("program", [valkey_program, debian_program], ids=["valkey", "redis"])
async def test_transactions_and_scripts_are_there_after_the_end(
    folder: Path, program: Callable[[], Path], ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis 7.0 loses transactions in its file that are not allowed to ``default``, today's Valkey
    does not: with the same users neither may."""
    monkeypatch.setattr(embedded, "_program", program)
    server = made(folder)
    await asyncio.to_thread(server.start)
    await write(server.url)
    await asyncio.to_thread(kill if ended == "killed" else EmbeddedServer.stop, server)
    await asyncio.to_thread(server.start)
    await check(server.url)


@pytest.mark.parametrize("ended", ["lives on", "stopped"])
async def test_a_server_of_before_the_users_gives_way_and_its_data_stay(
    folder: Path, ended: str
) -> None:
    server = made(folder)
    old = await asyncio.to_thread(start_old, server)
    await write(f"unix://{server.socket}")
    if ended == "stopped":
        await asyncio.to_thread(server.stop)
        assert old.wait(10) == 0
    await asyncio.to_thread(server.start)
    assert old.wait(10) == 0
    with nobody(server) as connected, pytest.raises(AuthenticationError):
        connected.ping()
    await check(server.url)


async def test_a_server_with_other_rights_gives_way_and_its_data_stay(folder: Path) -> None:
    server = made(folder)
    await asyncio.to_thread(server.start)
    await write(server.url)
    before = pid(server)
    list_ = server.folder / embeddedconf.USERS
    list_.write_text(list_.read_text().replace(" +hincrby", ""))
    await asyncio.to_thread(made(folder).start)
    assert pid(server) != before
    assert list_.read_text() == embeddedconf.users(password(server))
    await check(server.url)


async def write(url: str) -> None:
    """A grant and settlements by scripts, and a transaction such as a restore's."""
    world = RedisWorld(url)
    ledger = await claimed(world)
    await ledger.grant(ASK)
    for used in range(1, 11):
        await settled(ledger, replace(ROW, used=used * KIB))
    with redis.Redis.from_url(url) as connected, connected.pipeline(transaction=True) as pipeline:
        pipeline.set("{plan}:one", "1").hset("{plan}:two", "a", "2").execute()
    await world.aclose()


async def check(url: str) -> None:
    world = RedisWorld(url)
    assert await counter(world.ledger()) == (10 * KIB, MIB - 10 * KIB)
    with redis.Redis.from_url(url, decode_responses=True) as connected:
        assert (connected.get("{plan}:one"), connected.hget("{plan}:two", "a")) == ("1", "2")
    await world.aclose()


def start_old(server: EmbeddedServer) -> "subprocess.Popen[bytes]":
    """As a version without users started it: no name is asked, and the lock is held."""
    server.folder.mkdir(mode=0o700)
    text = embeddedconf.text(_program(), server.socket)
    old = text.replace(f"aclfile {embeddedconf.USERS}\n", "")
    assert old != text
    (server.folder / embeddedconf.CONF).write_text(old)
    lock = os.open(server.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        process = subprocess.Popen(
            [_program(), embeddedconf.CONF, "--unixsocket", server.socket],
            stdout=subprocess.DEVNULL,
            cwd=server.folder,
            pass_fds=(lock,),
            start_new_session=True,
        )
    finally:
        os.close(lock)
    deadline = time.monotonic() + 10
    while not server._answers():
        assert process.poll() is None
        assert time.monotonic() < deadline
    return process
