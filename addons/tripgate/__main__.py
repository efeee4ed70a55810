"""The program: the command line, and the gateway that its ``up`` runs."""

from tripgate.cli.app import create_app
from tripgate.settings import Settings


def run_gateway(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM; the exit code."""
    from tripgate.serve import serve  # mitmproxy takes a second to import: only when it is needed

    return serve(settings)


def main() -> None:
    """The console script ``tripgate``."""
    create_app(run_gateway)()


if __name__ == "__main__":
    main()
