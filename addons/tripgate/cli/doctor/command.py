"""The command ``tripgate doctor``."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import typer

from tripgate import lastrun
from tripgate.cli.command import present
from tripgate.cli.control import ask
from tripgate.cli.doctor import clock, network, redis, router, software, storage, sysctls
from tripgate.cli.doctor.finding import Check, Finding, Machine, Result
from tripgate.cli.options import Json, State, example
from tripgate.cli.output import Column, table
from tripgate.core.endpoint import Endpoint, parse_endpoint
from tripgate.lastrun import LastRun
from tripgate.statefind import find
from tripgate.statefolder import StateError, StateFolder

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tripgate.settings import Settings

EPILOG = example("tripgate doctor", "tripgate doctor --json")
OPTIONS = ("listen", "socks", "portal", "metrics")
CHECKS: tuple[Check, ...] = (
    software.settings,
    software.python,
    software.packages,
    software.server,
    storage.folder,
    storage.disk,
    storage.journal,
    clock.clock,
    redis.redis,
    sysctls.sysctls,
    network.gateway,
    network.uplinks,
    network.ports,
    router.router,
)


class CheckDocument(TypedDict):
    """One finding."""

    check: str
    result: str
    detail: str
    mend: str


class DoctorDocument(TypedDict):
    """``doctor``: ``ok`` when nothing failed."""

    ok: bool
    checks: list[CheckDocument]


def doctor(state: State = None, as_json: Json = False) -> None:
    """Look for what keeps the gateway from working, and say how to mend it."""
    document = report(asyncio.run(examine(look_at(state))))
    present(document, _draw, as_json=as_json)
    if not document["ok"]:
        raise typer.Exit(1)


def look_at(state: Path | None) -> Machine:
    """The machine as the settings of this environment see it."""
    from tripgate.settings import SettingsError, load

    folder = find(state)
    status = ask(folder.control_socket)
    try:
        settings = load(state=folder.path)
    except SettingsError as error:
        return Machine(folder, problem="; ".join(str(error).splitlines()), status=status)
    return _machine(folder, settings, lastrun.read(folder), status)


def _machine(
    folder: StateFolder, settings: "Settings", last: LastRun | None, status: dict[str, Any] | None
) -> Machine:
    """What the environment says, else how the gateway was last started, else the defaults; what a
    live gateway says of itself is above all."""
    said, given = status or {}, settings.model_fields_set
    mode, lan, uplink = str(settings.mode), settings.lan, settings.uplink
    trust, redis = str(settings.clock.trust), settings.redis
    kept: dict[str, Endpoint | None] = {}
    if last is not None and "mode" not in given:
        mode, lan, uplink = last.mode, last.lan, last.uplink
        kept = {k: v for k, v in listens(last.listens).items() if k not in given}
    if last is not None and "clock" not in given:
        trust = last.trust
    url = redis.get_secret_value() if redis else _named_redis(folder, last)
    lan = said.get("lan", lan)
    return Machine(
        folder,
        endpoints={
            **{name: getattr(settings, name) for name in OPTIONS},
            **kept,
            **listens(said.get("listens")),
        },
        redis=url,
        router=(lan or "", uplink) if mode == "router" else None,
        trust_host=trust == "host",
        mode=str(said.get("mode", mode)),
        lan=lan if isinstance(lan, str) else None,
        status=status,
        last=last,
    )


def _named_redis(folder: StateFolder, last: LastRun | None) -> str | None:
    """The Redis that the last start named."""
    with contextlib.suppress(StateError):
        return folder.read_redis_url() if last is not None and last.redis else None
    return None


def listens(said: object) -> dict[str, Endpoint | None]:
    """Where a live gateway says that it listens; what is odd is left out."""
    found: dict[str, Endpoint | None] = {}
    for name, text in said.items() if isinstance(said, dict) else ():
        with contextlib.suppress(ValueError):
            if name in OPTIONS:
                found[name] = parse_endpoint(str(text))
    return found


async def examine(machine: Machine) -> list[Finding]:
    """Every check, in order."""
    return [finding for check in CHECKS for finding in await check(machine)]


def report(findings: list[Finding]) -> DoctorDocument:
    """What ``--json`` prints."""
    checks: list[CheckDocument] = [
        {
            "check": one.check,
            "result": str(one.result),
            "detail": one.detail,
            "mend": one.mend,
        }
        for one in findings
    ]
    return {"ok": all(one.result is not Result.FAIL for one in findings), "checks": checks}


def _draw(document: DoctorDocument) -> "RenderableType":
    rows: list[tuple[str, str, str]] = []
    for one in document["checks"]:
        rows.append((one["result"], one["check"], one["detail"]))
        if one["mend"]:
            rows.append(("", "", f"→ {one['mend']}"))
    return table((Column(""), Column("check"), Column("found")), rows)
