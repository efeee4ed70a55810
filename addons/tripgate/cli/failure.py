"""What a command fails with: a message for a person and the exit code it stands for."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


class Failure(Exception):
    """One line that says what to do; ``exit_code`` is the program's."""

    exit_code = 1


class Refused(Failure):
    """Asked for something that is not done."""


class Mistaken(Failure):
    """The settings or options do not fit."""

    exit_code = 2


class NoGateway(Failure):
    """Neither the gateway nor its Redis answers."""

    exit_code = 3


@contextmanager
def usage(argument: str) -> Iterator[None]:
    """Turn a parser's ``ValueError`` into a usage error (exit code 2) that names ``argument``."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=argument) from error
