"""The root command: every way to fail ends as one line on stderr and an exit code.

Rules
1. A usage error names the command whose ``--help`` shows the valid forms; exit code 2.
2. What the ledger and the book raise is written for people already; it is passed on.
3. Anything else is a fault of tripgate and keeps its traceback.
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from tripgate.cli.failure import Failure
from tripgate.cli.output import clean, complain
from tripgate.core.book import BookError
from tripgate.ledger.protocol import Fenced, LedgerDown, NewerState
from tripgate.statefolder import StateError

NAME = "tripgate"


class Root(TyperGroup):
    """The group ``tripgate``."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; in standalone mode end the process with its exit code."""
        given = sys.argv[1:] if args is None else list(args)
        rest = (given or ["--help"], NAME, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return super().main(*rest, **extra)
        _forgive_encodings()
        try:
            code = super().main(*rest, **extra)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read it has enough, e.g. head
            code = 1
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except typer.TyperException as error:
            code = _report(_usage_line(error), error.exit_code)
        except Failure as error:
            code = _report(str(error), error.exit_code)
        except (BookError, Fenced, NewerState, StateError) as error:
            code = _report(str(error), 1)
        except LedgerDown as error:
            code = _report(str(error), 3)
        except typer.Abort:
            code = _report("stopped: nothing was changed", 1)
        sys.exit(code if isinstance(code, int) else 0)


def _forgive_encodings() -> None:
    """A terminal without Unicode shows escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(line: str, code: int) -> int:
    complain(line)
    return code


def _usage_line(error: typer.TyperException) -> str:
    """The message of a usage error and where the valid forms are shown."""
    context = getattr(error, "ctx", None)
    message = error.format_message().rstrip(".").replace(": Value error, ", ": ")
    path = context.command_path if context else NAME
    return f"{message[:1].lower()}{message[1:]} ({clean(path)} --help shows how)"
