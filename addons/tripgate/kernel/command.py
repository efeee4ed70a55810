"""Programs of the system: an argument list, never a shell, and an error in one line."""

import subprocess
from collections.abc import Sequence

_WAIT_S = 10.0
_SAID_MOST = 300


class CommandError(OSError):
    """A program is missing, hangs or refuses. One line."""


def run(argv: Sequence[str]) -> str:
    """What ``argv`` says on its standard output. ``CommandError``."""
    try:
        done = subprocess.run(  # noqa: S603  the arguments are a list of checked words
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{argv[0]} did not end within {_WAIT_S:.0f} s") from error
    if done.returncode:
        said = " / ".join(done.stderr.split("\n"))[:_SAID_MOST].strip(" /")
        raise CommandError(f"{' '.join(argv)}: {said or f'exit code {done.returncode}'}")
    return done.stdout
