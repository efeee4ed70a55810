"""``tripgate router``: the router as system services, planned, installed and taken back."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NotRequired, TypedDict, TypeVar

import typer

from tripgate.cli.command import present
from tripgate.cli.failure import Mistaken, Refused
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, complain, listing, note, table, together
from tripgate.statefolder import LEASES, SYSTEM, group_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from tripgate.core.systemfiles import Router, SystemFile
    from tripgate.kernel.systemfiles import Step
    from tripgate.settings import Settings
    from tripgate.statefolder import StateFolder

app = group(
    "router",
    "The router as system services: dnsmasq, hostapd and the gateway.",
    "tripgate router plan",
)
Lan = Annotated[
    str | None, typer.Option("--lan", metavar="IFACE", help="The interface of the devices.")
]
Uplink = Annotated[
    str | None,
    typer.Option("--uplink", metavar="IFACE[,IFACE…]|auto", help="The interface of the carrier."),
]
Subnet = Annotated[
    str | None,
    typer.Option("--subnet", metavar="ADDRESS/N", help="The gateway's address in the LAN."),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings as a TOML file.")
]
Force = Annotated[
    bool, typer.Option("--force", metavar="", help="Replace files of others; they are kept.")
]
Root = Annotated[Path, typer.Option("--root", hidden=True)]
T = TypeVar("T")
SUBNET = "10.77.0.1/24"
WORDS = {
    "new": "install",
    "changed": "replace",
    "same": "nothing to do",
    "foreign": "somebody else's",
    "gone": "take back",
}


class StepDocument(TypedDict):
    """What becomes of a file."""

    path: str
    state: str
    text: NotRequired[str | None]
    """What ``plan`` would write, without keys; None for what would be taken back."""


@app.command("plan", epilog=example("tripgate router plan --lan wlan0 --uplink usb0"))
def plan(
    lan: Lan = None,
    uplink: Uplink = None,
    subnet: Subnet = None,
    config: Config = None,
    state: State = None,
    root: Root = Path("/"),
    as_json: Json = False,
) -> None:
    """What apply would install, file by file, without keys; nothing is changed."""
    from tripgate.core.hostapdconf import without_keys
    from tripgate.kernel import systemfiles

    wanted = _wanted(root, state, lan=lan, uplink=uplink, subnet=subnet, config=config)
    steps = _tried(lambda: systemfiles.plan(root, wanted))
    texts = {file.path: without_keys(file.text) for file in wanted}
    documents = _documents(steps)
    for step, document in zip(steps, documents, strict=True):
        document["text"] = texts.get(step.path)
    present(documents, _draw_plan, as_json=as_json)


@app.command("apply", epilog=example("tripgate router apply --lan wlan0 --uplink usb0"))
def apply(
    lan: Lan = None,
    uplink: Uplink = None,
    subnet: Subnet = None,
    config: Config = None,
    state: State = None,
    force: Force = False,
    root: Root = Path("/"),
    as_json: Json = False,
) -> None:
    """Install the files and start the services. Twice changes nothing."""
    from tripgate.kernel import systemd, systemfiles

    wanted = _wanted(root, state, lan=lan, uplink=uplink, subnet=subnet, config=config)
    _need_root(root)
    steps = _tried(lambda: systemfiles.apply(root, wanted, force=force))
    if systemd.here(root):
        _tried(lambda: systemd.installed(steps))
    _show(steps, as_json=as_json)


@app.command("remove", epilog=example("tripgate router remove"))
def remove(state: State = None, root: Root = Path("/"), as_json: Json = False) -> None:
    """Stop the services, take every installed file, rule, route and setting back."""
    from tripgate.kernel import systemd, systemfiles
    from tripgate.statefind import find

    _need_root(root)
    if systemd.here(root):
        _tried(lambda: systemd.before_removal(systemfiles.plan(root, [])))
    steps = _tried(lambda: systemfiles.remove(root))
    if systemd.here(root) and steps:
        _tried(systemd.removed)
    if root == Path("/"):
        _take_back(find(state))
    _show(steps, as_json=as_json)


def _take_back(folder: "StateFolder") -> None:
    """What an unclean end left in the kernel. A gateway that runs keeps it."""
    from tripgate import lastrun
    from tripgate.cli.control import ask
    from tripgate.kernel import undo

    if ask(folder.control_socket) is not None:
        raise Refused(f"a gateway is running for {folder.path}: stop it first (Ctrl-C, SIGTERM)")
    _tried(lambda: undo.undo(folder.path))
    lastrun.end(folder, opened=True)


def _tried(work: "Callable[[], T]") -> T:
    """``work`` done, or one line why not."""
    from tripgate.kernel.systemd import SystemdError
    from tripgate.kernel.systemfiles import ForeignFile

    try:
        return work()
    except (ForeignFile, SystemdError) as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from error


def _need_root(root: Path) -> None:
    if root == Path("/") and os.geteuid() != 0:
        raise Refused("this changes the system: run it as root (sudo tripgate router …)")


def _wanted(root: Path, state: Path | None, **options: object) -> "list[SystemFile]":
    from tripgate.core.systemfiles import files
    from tripgate.settings import SettingsError, load

    try:
        settings = load(mode="router", state=state or SYSTEM, **options)
        found = files(_router(settings))
    except (SettingsError, ValueError) as error:
        raise Mistaken(str(error)) from error
    _warn_without(root / "sys/class/net", settings.lan or "")
    return found


def _warn_without(interfaces: Path, lan: str) -> None:
    """It may be plugged in later, so it is no mistake. An image's root has no interfaces."""
    if interfaces.is_dir() and not (interfaces / lan).exists():
        complain(f"warning: this machine has no interface {lan} now: `ip link` lists those it has")


def _router(settings: "Settings") -> "Router":
    """What to install by the settings."""
    from tripgate.core import systemfiles
    from tripgate.core.dnsmasqconf import CAPTIVE_PORT, Resolver
    from tripgate.core.networkcost import element
    from tripgate.core.unboundconf import TLS_PORT
    from tripgate.routersettings import lan as lan_of

    if settings.lan is None or "," in settings.lan:
        raise Mistaken("--lan IFACE: name the one interface of the devices, as in --lan wlan0")
    dns = settings.dns
    resolver = Resolver(
        lan=lan_of(settings.lan, settings.subnet or SUBNET),
        lease_file=str(settings.state / LEASES),
        servers=(f"127.0.0.1#{TLS_PORT}",) if dns.tls else dns.servers,
        canaries=dns.canaries,
        log_queries=False,
    )
    point = None
    if settings.hotspot is not None:
        point = settings.hotspot.access_point(
            settings.lan,
            systemfiles.CONTROL_DIR,
            f"/{systemfiles.PSK_FILE}",
            element(0, None, metered=True),
        )
    uplink = settings.uplink or "auto"
    uplinks = () if uplink == "auto" else tuple(uplink.split(","))
    return systemfiles.Router(
        _command(settings),
        str(settings.state),
        resolver,
        CAPTIVE_PORT,
        uplinks,
        point,
        dns.tls,
        group=group_id() is not None and settings.state == SYSTEM,
    )


def _command(settings: "Settings") -> tuple[str, ...]:
    """What the gateway's unit runs."""
    program = str(Path(sys.executable).with_name("tripgate"))
    options = (
        *("--lan", settings.lan or "", "--uplink", settings.uplink or "auto"),
        *("--subnet", settings.subnet or SUBNET, "--state", str(settings.state)),
        *(("--config", str(settings.config)) if settings.config else ()),
    )
    return (program, "up", "--mode", "router", "--services", "system", *options)


def _show(steps: "list[Step]", *, as_json: bool) -> None:
    present(_documents(steps), _draw, as_json=as_json)


def _documents(steps: "list[Step]") -> list[StepDocument]:
    return [{"path": f"/{step.path}", "state": step.state} for step in steps]


def _draw_plan(steps: list[StepDocument]) -> "RenderableType":
    """The files, then what is in each."""
    parts = [_draw(steps)]
    for step in steps:
        text = step.get("text")
        if text is not None:
            parts += [note(""), note(f"==> {step['path']} <=="), listing(text)]
    return together(*parts)


def _draw(steps: list[StepDocument]) -> "RenderableType":
    if not steps:
        return note("nothing of tripgate's is installed: tripgate router apply --lan IFACE")
    return table(
        (Column("file"), Column("becomes")),
        ((step["path"], WORDS[step["state"]]) for step in steps),
    )
