"""Options that many commands share, and the example line of every ``--help``."""

from pathlib import Path
from typing import Annotated

import typer


def _inherit(context: typer.Context, value: Path | None) -> Path | None:
    """``--state`` works before and after the command; the later one wins."""
    if value is not None:
        return value
    given = context.find_root().params.get("state")
    return given if isinstance(given, Path) else None


State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        callback=_inherit,
        help="State folder of the gateway; TRIPGATE_STATE does the same.",
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Print one JSON document on stdout and nothing else."),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", metavar="", help="A live table, refreshed each second, until Ctrl-C."),
]


def example(*lines: str) -> str:
    """The epilog of a command: what to type. One paragraph a line."""
    return "\n\n".join(f"Example: {line}" for line in lines)


def group(name: str, help_text: str, *examples: str) -> typer.Typer:
    """A group of commands; alone it is a usage error that names its commands."""
    return typer.Typer(
        name=name, help=help_text, epilog=example(*examples), rich_markup_mode="rich"
    )
