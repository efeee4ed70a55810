"""What a check is given to look at, and what it finds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tripgate.core.endpoint import Endpoint
from tripgate.lastrun import LastRun
from tripgate.statefolder import StateFolder


class Result(StrEnum):
    """From good to bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``mend`` says what to do about a ``warn`` or a ``fail``."""

    check: str
    result: Result
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at.

    ``endpoints``: where each server listens, by option: as the live gateway says, else as the
    settings have it; ``mode`` and ``lan`` (the LAN's link) likewise; ``redis``: the Redis that
    the settings name, if any; ``router``: the settings' LAN interface and uplinks in router mode;
    ``problem``: why there are no settings; ``status``: what the live gateway says, if there is one;
    ``last``: how the folder's gateway was last started, where that is known: what the settings of
    this environment do not say is taken from it.
    """

    folder: StateFolder
    endpoints: Mapping[str, Endpoint | None] = field(default_factory=dict)
    redis: str | None = None
    router: tuple[str, str] | None = None
    trust_host: bool = False
    mode: str = "explicit"
    lan: str | None = None
    problem: str = ""
    status: Mapping[str, Any] | None = None
    last: LastRun | None = None


Check = Callable[[Machine], Awaitable[list[Finding]]]


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Result.OK, detail)


def warn(check: str, detail: str, mend: str) -> Finding:
    return Finding(check, Result.WARN, detail, mend)


def fail(check: str, detail: str, mend: str) -> Finding:
    return Finding(check, Result.FAIL, detail, mend)
