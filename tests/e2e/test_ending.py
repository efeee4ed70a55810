"""The end of a gateway of which a part hangs for ever: bounded, named, and no byte is lost."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import curl, within
from tests.origin import http_talk, origin
from tests.running import Gateway, environment, gateway, stop_ledger

MB = 1_000_000

SPOILED = """
import asyncio, runpy, time
from tripgate import ending, ledger, proxy, wiring
from tripgate.ledger import embedded, registry
from tripgate.proxy import settle

async def for_ever(*_):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

ending.PART_S = ending.LEAST_S = 0.5
{spoil}
runpy.run_module("tripgate", run_name="__main__")
"""

SPOILS = {
    "a loop": "wiring.Gateway._keep_server = for_ever",
    "the settlement": "settle.Settler.close = for_ever",
    "the registry": "registry.RedisRegistry.aclose = for_ever",
    "a thread": "embedded.EmbeddedServer.stop = lambda self: time.sleep(3600)",
}


@dataclass
class Spoiled(Gateway):
    """A gateway with something in it that does not end."""

    spoil: str = ""

    def command(self) -> list[str]:
        program, _, module, *options = super().command()
        assert module == "tripgate"
        return [program, "-c", SPOILED.format(spoil=self.spoil), *options]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    stop_ledger(tmp_path / "state")


@pytest.mark.parametrize("what", SPOILS)
def test_what_hangs_is_left_behind_and_nothing_is_lost(state: Path, what: str) -> None:
    one = Spoiled(state, spoil=SPOILS[what])
    one.start()
    one.run("cap", "set", "this-machine", "500MB/day")
    with origin(http_talk) as server:
        assert curl(one, f"{server.url}/{MB}").volume == MB
    assert one.stop() == 1
    assert "left behind" in one.log.read_text()
    with gateway(state) as after:
        (cap,) = after.json("cap", "list")
        assert MB <= cap["used"] < MB + 10_000
        assert cap["reserved"] == 0


# -- signals that come when they are not expected -----------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_ledgers_server_starts_leaves_no_server_behind(
    state: Path, number: signal.Signals
) -> None:
    one = Spoiled(
        state,
        spoil="answers = embedded.EmbeddedServer._answers\n"
        "embedded.EmbeddedServer._answers = lambda self: time.sleep(0.5) or answers(self)",
    )
    one.spawn()
    assert one.process
    assert within(10, (one.state / "redis" / "valkey.pid").exists)
    server = int((one.state / "redis" / "valkey.pid").read_text())
    one.process.send_signal(number)
    assert one.process.wait(10) == 0
    assert not Path(f"/proc/{server}").exists()


def test_a_signal_does_not_interrupt_an_end_that_began_by_itself(state: Path) -> None:
    one = Spoiled(
        state,
        spoil="stop = embedded.EmbeddedServer.stop\n"
        "def slow(self):\n"
        "    print('it ends', flush=True)\n"
        "    time.sleep(1)\n"
        "    stop(self)\n"
        "embedded.EmbeddedServer.stop = slow\n"
        "async def refuse(*_):\n"
        "    raise ledger.protocol.NewerState('newer')\n"
        "wiring.recover = refuse\n"
        "ending.PART_S = 10",
    )
    one.spawn()
    assert one.process
    assert within(10, lambda: "it ends" in one.log.read_text())
    for _ in range(3):
        one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(10) == 1
    assert one.log.read_text().endswith("tripgate: newer\n")
    assert not (one.state / "redis" / "valkey.pid").exists()


def test_an_output_that_nobody_reads_does_not_hold_the_end_up(state: Path) -> None:
    one = Gateway(state)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, bytes(4096)):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    one.process = subprocess.Popen(
        one.command(), env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    try:
        assert within(10, (one.state / "redis" / "valkey.pid").exists)
        assert within(10, lambda: one.cli("status").returncode == 0)
        one.process.send_signal(signal.SIGTERM)
        _, said = one.process.communicate(timeout=10)
    finally:
        one.process.kill()
        os.close(reader)
    assert one.process.returncode == 0
    assert said == ""
