"""Child programs: real processes, started, ended and found again."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.kernel.conftest import wait_until
from tripgate.kernel import children, process
from tripgate.kernel.children import Child, Spec
from tripgate.kernel.outlet import LINE_MOST

SLEEPER = Spec("sleeper", ("/bin/sleep", "1000"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "BACKOFF_S", 0.01)
    monkeypatch.setattr(children, "STOP_S", 0.2)


def lives(pid: int | None) -> bool:
    return pid is not None and process.identify(pid) is not None


def script(text: str, name: str = "script") -> Spec:
    return Spec(name, ("/bin/sh", "-c", text))


def orphan(folder: Path, spec: Spec) -> int:
    """A gateway starts a child and is killed with SIGKILL; the child's pid."""
    program = f"""
        import asyncio, os, pathlib, signal
        from tripgate.kernel.children import Child, Spec
        async def main():
            child = Child(Spec({spec.name!r}, {spec.argv!r}), pathlib.Path({str(folder)!r}))
            await child.start()
            print(child.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": str(Path(children.__file__).parents[2])},
        stdout=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    assert done.returncode == -signal.SIGKILL
    return int(done.stdout)


async def test_a_child_runs_until_it_is_stopped(tmp_path: Path) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    pid = child.pid
    assert lives(pid)
    await child.stop()
    assert not lives(pid)


async def test_a_child_has_a_session_of_its_own_so_that_ctrl_c_is_not_for_it(
    tmp_path: Path,
) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    assert child.pid and os.getsid(child.pid) == child.pid
    await child.stop()


async def test_a_stopped_child_leaves_no_record(tmp_path: Path) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    await child.stop()
    assert not (tmp_path / "sleeper.child").exists()


async def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    await wait_until(lambda: child.pid not in (first, None))
    assert lives(child.pid)
    await child.stop()


async def test_a_child_that_ends_tells_its_last_line(tmp_path: Path) -> None:
    child = Child(script("echo no such interface; exit 3"), tmp_path)
    await child.start()
    await wait_until(lambda: child.trouble and "interface" in child.trouble)
    assert child.trouble == "script ended (3): no such interface"
    await child.stop()


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    child = Child(Spec("none", ("/nowhere/none",)), tmp_path)
    await child.start()
    assert child.trouble == "/nowhere/none: No such file or directory: install it"
    await child.stop()


async def test_a_child_that_does_not_listen_is_forced_to_end(tmp_path: Path) -> None:
    told: list[str] = []
    child = Child(
        script("trap '' TERM; echo deaf; while :; do sleep 0.05; done"), tmp_path, told.append
    )
    await child.start()
    await wait_until(lambda: told)
    pid = child.pid
    await child.stop()
    assert not lives(pid)


async def test_what_a_child_writes_comes_in_lines_of_bounded_length(tmp_path: Path) -> None:
    told: list[str] = []
    child = Child(
        script("printf 'one\\n\\033two\\n'; head -c 100000 /dev/zero | tr '\\0' x; echo; sleep 9"),
        tmp_path,
        told.append,
    )
    await child.start()
    await wait_until(lambda: len(told) >= 3)
    assert told[:2] == ["one", "\x1btwo"]
    assert max(map(len, told)) <= LINE_MOST
    await child.stop()


async def test_after_kill_9_of_the_gateway_the_child_is_adopted(tmp_path: Path) -> None:
    pid = orphan(tmp_path, SLEEPER)
    child = Child(SLEEPER, tmp_path)
    await child.start()
    assert child.pid == pid
    await child.stop()
    assert not lives(pid)


async def test_an_orphan_that_was_started_otherwise_is_ended(tmp_path: Path) -> None:
    pid = orphan(tmp_path, SLEEPER)
    child = Child(Spec("sleeper", ("/bin/sleep", "999")), tmp_path)
    await child.start()
    assert not lives(pid)
    assert lives(child.pid)
    await child.stop()


async def test_an_adopted_child_that_ends_is_started_again(tmp_path: Path) -> None:
    pid = orphan(tmp_path, SLEEPER)
    child = Child(SLEEPER, tmp_path)
    await child.start()
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: child.pid not in (pid, None))
    await child.stop()


async def test_an_orphan_outlives_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    loud = script("trap '' PIPE; while :; do echo spam 2>/dev/null; done", "loud")
    pid = orphan(tmp_path, loud)
    told: list[str] = []
    child = Child(loud, tmp_path, told.append)
    await child.start()
    await wait_until(lambda: len(told) > 20_000)  # more than the pipe held: it is writing now
    assert child.pid == pid
    await child.stop()


@pytest.mark.parametrize("field", ["start", "boot", "program"])
async def test_a_foreign_process_with_the_recorded_pid_is_left_alone(
    tmp_path: Path, field: str
) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as foreign:  # noqa: ASYNC220 - it is quick
        identity = process.identify(foreign.pid)
        assert identity
        record = {name: getattr(identity, name) for name in ("pid", "start", "boot", "program")}
        record |= {"fingerprint": "other", field: 1 if field == "start" else "other"}
        (tmp_path / "sleeper.child").write_text(json.dumps(record))
        child = Child(SLEEPER, tmp_path)
        await child.start()
        await child.stop()
        assert foreign.poll() is None
        foreign.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "1"}', '{"pid": 1}', "\0" * 9999])
async def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "sleeper.child").write_text(text)
    child = Child(SLEEPER, tmp_path)
    await child.start()
    assert lives(child.pid)
    await child.stop()


async def test_a_child_runs_although_nothing_can_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "sleeper.child.new").mkdir()  # in the way, as a full disk would be
    child = Child(SLEEPER, tmp_path)
    await child.start()
    assert lives(child.pid)
    await child.stop()


async def test_a_change_starts_it_anew(tmp_path: Path) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    first = child.pid
    await child.change(Spec("sleeper", SLEEPER.argv, "another configuration"))
    assert not lives(first)
    assert lives(child.pid)
    await child.stop()


async def test_no_change_leaves_it_running(tmp_path: Path) -> None:
    child = Child(SLEEPER, tmp_path)
    await child.start()
    first = child.pid
    await child.change(SLEEPER)
    assert child.pid == first
    await child.stop()


async def test_an_abandoned_child_is_adopted_by_the_next(tmp_path: Path) -> None:
    first, second = Child(SLEEPER, tmp_path), Child(SLEEPER, tmp_path)
    await first.start()
    pid = first.pid
    await first.abandon()
    await second.start()
    assert second.pid == pid
    await second.stop()


async def test_a_child_has_nothing_of_our_environment(tmp_path: Path) -> None:
    told: list[str] = []
    os.environ["TGD_SECRET"] = "x"
    child = Child(script("env; echo end; sleep 9"), tmp_path, told.append)
    await child.start()
    await wait_until(lambda: "end" in told)
    del os.environ["TGD_SECRET"]
    assert not [line for line in told if "SECRET" in line]
    await child.stop()
