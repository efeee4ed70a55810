"""The commands ``tripgate backup`` and ``tripgate restore``."""

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tripgate.cli.cells import instant, volume
from tripgate.cli.command import actor, now
from tripgate.cli.options import Json, State, example
from tripgate.cli.output import print_json, say
from tripgate.cli.store import no_gateway
from tripgate.ledger.protocol import Edit
from tripgate.statefind import find
from tripgate.statefolder import StateFolder

BACKUP_EPILOG = example("tripgate backup trip-2026-05.tripgate")
RESTORE_EPILOG = example("tripgate restore trip-2026-05.tripgate")
File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the backup.")]


def backup(file: File, state: State = None, as_json: Json = False) -> None:
    """Write settings, counters and history to FILE; the gateway goes on."""
    from tripgate.cli.backup.work import make

    folder, at = find(state), now()
    url, identity = folder.read_redis_url(), folder.read_identity()
    if url is None:
        raise no_gateway(folder)
    gateway = identity.gateway if identity else None
    keys, size = asyncio.run(make(url, file, gateway, at))
    if as_json:
        print_json({"file": str(file), "bytes": size, "keys": keys, "made_at": instant(at)})
    else:
        say(f"{file}: {volume(size)}; restore it with: tripgate restore {shlex.quote(str(file))}")


def restore(file: File, state: State = None, as_json: Json = False) -> None:
    """Put FILE in place of settings, counters and history. The gateway must be stopped."""
    from tripgate.cli.backup import work

    folder = find(state)
    content = work.check(file)
    folder.create()
    with folder.locked():
        identity = folder.read_identity()
        own = identity.gateway if identity and folder.journal.exists() else ""
        edit = Edit(actor(), "restore", f"{file.name} of {content.header.made_at}", now())
        with ledger_of(folder) as url:
            asyncio.run(work.restore(url, file, content, own, edit))
    made_at, devices = content.header.made_at, len(content.book.devices)
    if as_json:
        print_json(
            {"file": str(file), "keys": content.keys, "made_at": made_at, "devices": devices}
        )
    else:
        say(f"restored as of {made_at}: {devices} devices; start the gateway with ./deploy/up")


@contextmanager
def ledger_of(folder: StateFolder) -> Iterator[str]:
    """Where the ledger of a stopped gateway is; the embedded server runs for that long."""
    from tripgate.ledger.address import is_at
    from tripgate.ledger.embedded import EmbeddedServer
    from tripgate.settings import load

    redis = load(state=folder.path).redis
    named = redis.get_secret_value() if redis else folder.read_redis_url()
    server = EmbeddedServer(folder.redis_dir, folder.redis_socket)
    if named is not None and not is_at(named, server.socket):
        yield named
        return
    server.start()
    try:
        folder.write_redis_url(server.url)
        yield server.url
    finally:
        server.stop()
