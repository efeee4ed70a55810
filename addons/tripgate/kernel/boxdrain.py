"""Holds the box's own updates while the uplink is metered, and lets them go again.

Rules
1. What was active is on disk before it is stopped, so a crash forgets nothing; a second hold adds
   to the record.
2. Without systemd as the machine's init nothing is done. A command that fails is logged: updates
   that go on cost data, they are no reason to stop.
"""

import asyncio
import logging
from pathlib import Path

from tripgate.core import boxdrain
from tripgate.durable import replace_file
from tripgate.kernel.children import PATH

RUN_S = 10.0
RECORD_MOST = 4096
ANSWER_MOST = 65536
SYSTEMD = Path("/run/systemd/system")
"""There where systemd is the init (``sd_booted(3)``)."""

log = logging.getLogger("tripgate.boxdrain")


class BoxDrain:
    """``record`` is a file of the state folder."""

    def __init__(self, record: Path, booted: Path = SYSTEMD, path: str = PATH) -> None:
        self._record = record
        self._booted = booted
        self._path = path

    async def hold(self) -> tuple[str, ...]:
        """Stop what is active; the units that are held now. ``OSError``: the record."""
        if not self._booted.is_dir():
            return ()
        found = boxdrain.active(await self._run(boxdrain.which_are_active()))
        held = tuple(dict.fromkeys((*self.held(), *found)))
        if found:
            replace_file(self._record, "\n".join(held) + "\n", 0o600)
            await self._run(boxdrain.hold(found))
        return held

    async def let_go(self) -> None:
        """Start again what was held."""
        held = self.held()
        if held and self._booted.is_dir():
            await self._run(boxdrain.let_go(held))
        self._record.unlink(missing_ok=True)

    def held(self) -> tuple[str, ...]:
        """The units that were stopped."""
        try:
            with self._record.open("rb") as file:
                lines = file.read(RECORD_MOST).decode("ascii", "replace").split("\n")
        except FileNotFoundError:
            return ()
        return tuple(line for line in lines if line in boxdrain.HELD)

    async def _run(self, argv: tuple[str, ...]) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": self._path},
            )
        except OSError as error:
            log.warning("%s: %s", argv[0], error.strerror)
            return ""
        try:
            async with asyncio.timeout(RUN_S):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            log.warning("%s takes too long", " ".join(argv[:3]))
            return ""
        return output[:ANSWER_MOST].decode("ascii", "replace")
