"""``tripgate up``: settings from options, environment and file, then the gateway.

What runs the gateway is handed in by the composition root: nothing here imports mitmproxy.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tripgate.cli.failure import Mistaken
from tripgate.cli.options import State, example

if TYPE_CHECKING:
    from tripgate.settings import Settings

EPILOG = example("tripgate up", "tripgate up --listen 127.0.0.1:3128 --socks off")
ADDRESS = "HOST:PORT|off"
ROUTER = "Router mode"

Listen = Annotated[
    str | None,
    typer.Option("--listen", metavar=ADDRESS, help="HTTP and CONNECT proxy; port 8080."),
]
Socks = Annotated[
    str | None, typer.Option("--socks", metavar=ADDRESS, help="SOCKS5 proxy; port 1080.")
]
Portal = Annotated[
    str | None, typer.Option("--portal", metavar=ADDRESS, help="Pages for devices; port 8088.")
]
Metrics = Annotated[
    str | None,
    typer.Option("--metrics", metavar=ADDRESS, help="For Prometheus; 127.0.0.1:9108."),
]
Redis = Annotated[
    str | None,
    typer.Option(
        "--redis", metavar="URL", help="Keep the ledger in this Redis, not in an embedded server."
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file with these settings.")
]
Mode = Annotated[
    str | None, typer.Option("--mode", metavar="explicit|router", help="Proxy set by hand, or all.")
]
Lan = Annotated[
    str | None,
    typer.Option("--lan", metavar="IFACE", help="Side of the devices.", rich_help_panel=ROUTER),
]
Uplink = Annotated[
    str | None,
    typer.Option(
        "--uplink",
        metavar="IFACE,…|auto",
        help="Side of the carrier.",
        rich_help_panel=ROUTER,
    ),
]
Subnet = Annotated[
    str | None,
    typer.Option(
        "--subnet", metavar="10.77.0.1/24", help="Network of the LAN.", rich_help_panel=ROUTER
    ),
]
Services = Annotated[
    str | None,
    typer.Option(
        "--services",
        metavar="managed|system",
        help="Who runs dnsmasq and hostapd.",
        rich_help_panel=ROUTER,
    ),
]
Ssh = Annotated[
    str | None,
    typer.Option("--ssh", metavar="lan|owner|off", help="Who may SSH in.", rich_help_panel=ROUTER),
]


def make(run_gateway: "Callable[[Settings], int]") -> Callable[..., None]:
    """The command that runs ``run_gateway`` with the settings and ends with its exit code."""

    def up(
        mode: Mode = None,
        listen: Listen = None,
        socks: Socks = None,
        portal: Portal = None,
        metrics: Metrics = None,
        redis: Redis = None,
        config: Config = None,
        lan: Lan = None,
        uplink: Uplink = None,
        subnet: Subnet = None,
        services: Services = None,
        ssh: Ssh = None,
        state: State = None,
    ) -> None:
        """Run the gateway until Ctrl-C or SIGTERM.

        Every option may also stand in the TOML file and in TRIPGATE_ variables.
        """
        options = {
            "mode": mode,
            "listen": listen,
            "socks": socks,
            "portal": portal,
            "metrics": metrics,
            "redis": redis,
            "config": config,
            "lan": lan,
            "uplink": uplink,
            "subnet": subnet,
            "services": services,
            "ssh": ssh,
            "state": state,
        }
        raise typer.Exit(run_gateway(_settings(options)))

    return up


def _settings(options: Mapping[str, object]) -> "Settings":
    """Raises :class:`Mistaken` with all mistakes in one line."""
    from tripgate.settings import SettingsError, load

    try:
        return load(**options)
    except SettingsError as error:
        raise Mistaken("; ".join(str(error).splitlines())) from None
