"""The whole program: which commands there are. What runs the gateway is handed in."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tripgate import __version__
from tripgate.cli import (
    admin,
    advise,
    allowance,
    audit,
    cap,
    device,
    drains,
    notify,
    person,
    plan,
    policy,
    router,
    status,
    up,
    uplink,
)
from tripgate.cli import usage as usage_command
from tripgate.cli.backup import command as backup
from tripgate.cli.doctor import command as doctor
from tripgate.cli.group import Root
from tripgate.cli.options import State, example
from tripgate.cli.reconcile import command as reconcile

if TYPE_CHECKING:
    from tripgate.settings import Settings


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tripgate {__version__}")
        raise typer.Exit


def _root(
    state: State = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """One travel data plan, many devices: who used what, and what stops them at the cap."""


def create_app(run_gateway: "Callable[[Settings], int]") -> typer.Typer:
    """The program. ``run_gateway`` runs the gateway until it is told to stop: its exit code."""
    app = typer.Typer(
        cls=Root,
        name="tripgate",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        epilog=example("tripgate cap set phone 500MB/day"),
    )
    app.callback(no_args_is_help=False)(_root)
    app.command("up", epilog=up.EPILOG)(up.make(run_gateway))
    app.command("status", epilog=status.EPILOG)(status.status)
    app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
    app.command("usage", epilog=usage_command.EPILOG)(usage_command.usage)
    app.command("drains", epilog=drains.EPILOG)(drains.drains_)
    app.command("advise", epilog=advise.EPILOG)(advise.advise)
    parts = (device, person, plan, cap, policy, allowance, uplink, reconcile, notify, admin, router)
    for module in parts:
        app.add_typer(module.app)
    app.command("give", epilog=allowance.GIVE)(allowance.give)
    app.command("lend", epilog=allowance.LEND)(allowance.lend)
    app.command("audit", epilog=audit.EPILOG)(audit.audit)
    app.command("backup", epilog=backup.BACKUP_EPILOG)(backup.backup)
    app.command("restore", epilog=backup.RESTORE_EPILOG)(backup.restore)
    return app
