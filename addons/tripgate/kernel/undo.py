"""What the router mode left in the kernel, taken back without a gateway.

The order is that of a clean stop: the children end (one that advertises routes would configure this
machine too), then the recorded values (forwarding among them), the rules, the routing guard. All of
it is done, whatever fails; the first failure is told at the end.
"""

from collections.abc import Callable
from pathlib import Path

from tripgate.core import nftrules
from tripgate.kernel import routes
from tripgate.kernel.children import end_orphan
from tripgate.kernel.nft import Nft
from tripgate.kernel.recorded import Recorded


def undo(folder: Path) -> None:
    """Put back what the state folder has recorded; twice is fine. ``OSError``."""
    steps: tuple[Callable[[], None], ...] = (
        lambda: _end_children(folder),
        lambda: Recorded(folder / "recorded.json").restore(),
        _remove_tables,
        routes.remove,
    )
    failed: OSError | None = None
    for step in steps:
        try:
            step()
        except OSError as error:
            failed = failed or error
    if failed:
        raise failed


def _end_children(folder: Path) -> None:
    for record in folder.glob("*.child"):
        end_orphan(record)


def _remove_tables() -> None:
    nft = Nft()
    try:
        nft.run(nftrules.render_removal())
    finally:
        nft.close()
