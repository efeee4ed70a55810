"""The embedded server: one per folder, adopted, never killed, nothing lost."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.ledger.worlds import ASK, KIB, MIB, ROW, RedisWorld, claimed, counter, settled
from tests.servers import Server, valkey_program
from tripgate.ledger import embeddedconf
from tripgate.ledger.embedded import LOG_MOST, EmbeddedServer
from tripgate.ledger.protocol import LedgerDown

KEYS = 20_000
"""It takes a second to load them, with pauses in which the server answers."""

START = """
import sys
from pathlib import Path
from tripgate.ledger.embedded import EmbeddedServer
EmbeddedServer(Path(sys.argv[1]), Path(sys.argv[2])).start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short state folder; whatever server runs there at the end is ended."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as name:
        yield Path(name)
        made(Path(name)).stop()


def made(folder: Path) -> EmbeddedServer:
    return EmbeddedServer(folder / "redis", folder / "redis.sock")


def client(server: EmbeddedServer) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


def pid(server: EmbeddedServer) -> int:
    with client(server) as connected:
        return int(connected.info("server")["process_id"])


def kill(server: EmbeddedServer) -> None:
    os.kill(pid(server), signal.SIGKILL)
    while server.alive():
        pass


def test_it_listens_on_a_private_socket_and_nowhere_else(folder: Path) -> None:
    server = made(folder)
    server.start()
    assert (folder / "redis.sock").stat().st_mode & 0o777 == 0o600
    with client(server) as connected:
        assert connected.info("server")["tcp_port"] == 0


def test_a_shared_folder_has_a_shared_socket(folder: Path) -> None:
    folder.chmod(0o770)
    made(folder).start()
    assert (folder / "redis.sock").stat().st_mode & 0o777 == 0o660


def test_it_evicts_nothing_and_is_bounded(folder: Path) -> None:
    server = made(folder)
    server.start()
    with client(server) as connected:
        found = connected.info("memory")
    assert (found["maxmemory"], found["maxmemory_policy"]) == (256 * MIB, "noeviction")


def test_a_signal_to_the_gateway_s_session_does_not_reach_it(folder: Path) -> None:
    server = made(folder)
    server.start()
    assert os.getsid(pid(server)) == pid(server)


def test_a_second_start_adopts_the_first_server(folder: Path) -> None:
    first, second = made(folder), made(folder)
    first.start()
    before = pid(first)
    assert second.start() == first.url
    assert pid(second) == before


def test_of_starts_at_once_one_makes_the_server(folder: Path) -> None:
    servers = [made(folder) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda server: server.start(), servers))
    assert len({pid(server) for server in servers}) == 1
    assert sum(server._process is not None for server in servers) == 1


def test_an_orphan_is_adopted_with_its_data(folder: Path) -> None:
    server = made(folder)
    with subprocess.Popen(
        [sys.executable, "-c", START, str(server.folder), str(server.socket)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"started\n"
        before = pid(server)
        with client(server) as connected:
            connected.set("{plan}:kept", "yes")
        parent.kill()
    assert server.start()
    assert pid(server) == before
    with client(server) as connected:
        assert connected.get("{plan}:kept") == "yes"


def test_an_orphan_of_another_version_is_replaced_and_its_data_kept(folder: Path) -> None:
    server = made(folder)
    server.start()
    before = pid(server)
    with client(server) as connected:
        connected.set("{plan}:kept", "yes")
    conf = server.folder / embeddedconf.CONF
    conf.write_text(conf.read_text() + "# an older one\n")
    made(folder).start()
    assert pid(server) != before
    with client(server) as connected:
        assert connected.get("{plan}:kept") == "yes"


def test_what_was_there_at_a_stop_is_there_at_the_next_start(folder: Path) -> None:
    server = made(folder)
    server.start()
    with client(server) as connected:
        connected.set("{plan}:kept", "yes")
    server.stop()
    assert not server.alive()
    server.start()
    with client(server) as connected:
        assert connected.get("{plan}:kept") == "yes"


def test_stopping_what_does_not_run_is_no_error(folder: Path) -> None:
    server = made(folder)
    server.folder.mkdir()
    server.stop()
    assert not server.alive()


async def test_kill_9_loses_no_acknowledged_write(folder: Path) -> None:
    server = made(folder)
    await asyncio.to_thread(server.start)
    world = RedisWorld(server.url)
    ledger = await claimed(world)
    await ledger.grant(ASK)
    for used in range(1, 301):
        await settled(ledger, replace(ROW, used=used * KIB))
    await asyncio.to_thread(kill, server)
    await asyncio.to_thread(server.start)
    assert await counter(ledger) == (300 * KIB, MIB - 300 * KIB)
    await world.aclose()


async def test_a_client_finds_the_server_again_after_a_restart(folder: Path) -> None:
    server = made(folder)
    await asyncio.to_thread(server.start)
    world = RedisWorld(server.url)
    ledger = await claimed(world)
    await asyncio.to_thread(kill, server)
    with pytest.raises(LedgerDown, match="does not answer"):
        await ledger.grant(ASK)
    await asyncio.to_thread(server.start)
    assert (await ledger.grant(ASK)).granted == MIB
    await world.aclose()


def test_a_start_waits_until_the_data_are_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = made(folder)
    server.start()
    with client(server) as connected, connected.pipeline(transaction=False) as pipeline:
        for number in range(KEYS):
            pipeline.set(f"{{plan}}:{number}", "1")
        pipeline.execute()
    server.stop()
    slow, text = "key-load-delay 20\n", embeddedconf.text  # microseconds for a key
    monkeypatch.setattr(embeddedconf, "text", lambda *given: text(*given) + slow)
    server.start()
    with client(server) as connected:
        assert connected.get(f"{{plan}}:{KEYS - 1}") == "1"


def test_its_death_is_seen(folder: Path) -> None:
    server = made(folder)
    server.start()
    assert server.alive()
    kill(server)
    assert not server.alive()


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    server = made(folder)
    (server.folder / "appendonlydir").mkdir(parents=True)
    manifest = server.folder / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("nonsense\n")
    with pytest.raises(LedgerDown, match=r"does not start.*manifest.*valkey\.log"):
        server.start()


def test_another_server_on_the_socket_is_not_adopted(folder: Path) -> None:
    server = made(folder)
    server.folder.mkdir()
    held = server._lock()
    assert held is not None
    stranger = Server(valkey_program(), folder).start()
    try:
        with pytest.raises(LedgerDown, match="another server answers"):
            server.start()
    finally:
        stranger.kill()
        os.close(held)


def test_a_socket_path_that_is_too_long_is_told(folder: Path) -> None:
    server = EmbeddedServer(folder / "redis", folder / ("x" * 100) / "redis.sock")
    with pytest.raises(LedgerDown, match="too long"):
        server.start()


def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "redis").write_text("a file")
    with pytest.raises(LedgerDown, match="redis"):
        made(folder).start()
    (folder / "redis").unlink()


def test_the_log_is_cut_and_written_on(folder: Path) -> None:
    server = made(folder)
    server.start()
    with server.log_file.open("ab") as file:
        file.truncate(LOG_MOST + 1)
    assert server.alive()
    assert server.log_file.stat().st_size == 0
    server.stop()
    assert 0 < server.log_file.stat().st_size < LOG_MOST
