"""A child that is to run otherwise: whatever fails on the way, it is kept."""

import errno
import os
from pathlib import Path

import pytest

from tests.kernel.conftest import wait_until
from tripgate.kernel import children, process
from tripgate.kernel.children import Child, Spec

SLEEPER = Spec("sleeper", ("/bin/sleep", "1000"))
OTHERWISE = Spec("sleeper", ("/bin/sleep", "1001"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "BACKOFF_S", 0.01)
    monkeypatch.setattr(children, "STOP_S", 0.2)


def argv(pid: int | None) -> tuple[str, ...]:
    """What a process is running; nothing once it has ended."""
    if pid is None or process.identify(pid) is None:
        return ()
    return tuple(Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1])


async def test_one_that_does_not_end_is_kept_and_the_change_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()

    async def fail(_: Child) -> None:
        raise OSError(errno.EPERM, "not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(Child, "_end", fail)
        with pytest.raises(OSError, match="not permitted"):
            await child.change(OTHERWISE)
    assert argv(child.pid) == SLEEPER.argv
    await child.change(OTHERWISE)
    assert argv(child.pid) == OTHERWISE.argv
    await child.stop()


async def test_one_that_cannot_be_watched_is_ended_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    begun: list[int] = []
    watch = os.pidfd_open

    def fail_once(pid: int) -> int:
        begun.append(pid)
        if len(begun) == 1:
            raise OSError(errno.EMFILE, "too many open files")
        return watch(pid)

    monkeypatch.setattr(os, "pidfd_open", fail_once)
    await child.change(OTHERWISE)
    assert child.trouble is not None
    assert "too many open files" in child.trouble
    await wait_until(lambda: argv(child.pid) == OTHERWISE.argv)
    assert argv(begun[0]) == ()
    await child.stop()
