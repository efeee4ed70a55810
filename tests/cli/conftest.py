"""A state folder whose ledger is a real Valkey, and the CLI on it, in this process."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner

from tests.servers import valkey_server, valkey_url
from tripgate.cli.app import create_app
from tripgate.core.book import Book, add_device, add_person, approve_device, rename_device
from tripgate.core.classify import Service
from tripgate.core.limits import limits_for
from tripgate.core.period import starts
from tripgate.core.usage import increments
from tripgate.ledger.protocol import Edit, Settlement
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry
from tripgate.settings import Settings
from tripgate.statefolder import Identity, StateFolder

__all__ = ["valkey_server", "valkey_url"]

T = TypeVar("T")
UPDATES = Service("Windows Update", "os-update")


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


@dataclass
class World:
    """One state folder and its ledger."""

    state: Path
    url: str
    ran: list[Settings] = field(default_factory=list)
    exit_code: int = 0

    # -- the CLI ----------------------------------------------------------------------------

    def _run_gateway(self, settings: Settings) -> int:
        self.ran.append(settings)
        return self.exit_code

    def cli(self, *args: str, state: bool = True, **env: str) -> Done:
        """Run a command on this world's state folder."""
        where = ("--state", str(self.state)) if state else ()
        environment = {"TRIPGATE_STATE": None, "COLUMNS": "200", **env}
        done = CliRunner(env=environment).invoke(
            create_app(self._run_gateway), [*args, *where], catch_exceptions=False
        )
        return Done(done.exit_code, done.stdout, done.stderr)

    def run(self, *args: str) -> str:
        """A command that must succeed; what it printed."""
        done = self.cli(*args)
        assert (done.code, done.err) == (0, ""), (args, done)
        return done.out

    def json(self, *args: str) -> Any:
        return json.loads(self.run(*args, "--json"))

    def refused(self, *args: str) -> tuple[int, str]:
        """A command that must fail with one line; the exit code and the line."""
        done = self.cli(*args)
        assert done.out == "", done
        assert done.err.startswith("tripgate: "), done
        assert done.err.count("\n") == 1, done
        return done.code, done.err.removeprefix("tripgate: ").rstrip("\n")

    # -- the ledger -------------------------------------------------------------------------

    def ledger(self, work: Callable[[RedisLedger, RedisRegistry], Awaitable[T]]) -> T:
        """Do something with the ledger itself."""

        async def body() -> T:
            ledger, registry = RedisLedger(self.url), RedisRegistry(self.url)
            try:
                return await work(ledger, registry)
            finally:
                await ledger.aclose()
                await registry.aclose()

        return asyncio.run(body())

    @property
    def book(self) -> Book:
        async def load(_: RedisLedger, registry: RedisRegistry) -> Book:
            return (await registry.load())[1]

        return self.ledger(load)

    def put(self, change: Callable[[Book], Book]) -> None:
        """Change the book as somebody else."""

        async def replace(_: RedisLedger, registry: RedisRegistry) -> None:
            version, book = await registry.load()
            assert await registry.replace(version, change(book), Edit("test", "test", "", 1))

        self.ledger(replace)

    def device(self, name: str, person: str | None = None, address: str = "") -> str:
        """An approved device; its id."""
        made: list[str] = []

        def change(book: Book) -> Book:
            entropy = f"{len(book.devices) + 1:08x}"
            identity = f"ip:{address or f'10.0.0.{len(book.devices) + 1}'}"
            book, device = add_device(book, identity, int(time.time()) - 3600, entropy=entropy)
            made.append(device.id)
            book = rename_device(book, device.id, name)
            if person and person not in book.people:
                book = add_person(book, person, 1)
            return approve_device(book, device.id, person)

        self.put(change)
        return made[-1]

    def used(
        self,
        device: str,
        up: int,
        down: int,
        *,
        service: Service = UPDATES,
        host: str = "dl.example.com",
        overhead: int = 0,
        at: int | None = None,
    ) -> None:
        """Bytes that the gateway counted for a device, ``at`` some instant."""
        moment = int(time.time()) if at is None else at

        async def settle(ledger: RedisLedger, registry: RedisRegistry) -> None:
            book = (await registry.load())[1]
            began = starts(book.plan, moment)
            row = Settlement(
                lease=f"test:{time.monotonic_ns()}:1",
                device=device,
                granted=up + down,
                used=up + down,
                final=True,
                limits=limits_for(book, book.devices[device], began),
                trusted=True,
                parts=up + down,
                increments=increments(device, service, host, up, down, moment, began, overhead),
            )
            await ledger.settle([row], {device: moment}, moment)

        self.ledger(settle)


@pytest.fixture
def world(tmp_path: Path, valkey_url: str) -> World:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    folder.write_identity(Identity("gateway", "instance"))
    folder.write_redis_url(valkey_url)
    return World(folder.path, valkey_url)


@pytest.fixture
def empty(tmp_path: Path) -> World:
    """A place where no gateway ever ran."""
    return World(tmp_path / "none", "")
