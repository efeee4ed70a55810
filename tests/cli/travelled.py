"""A trip that is under way, for the tests of ``reconcile``."""

import csv
import io
import time
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import World
from tripgate.core.classify import Service

MB, HOUR_S, DAY_S = 10**6, 3_600, 86_400
FILM = Service("Netflix", "video")


def iso(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


@pytest.fixture
def travelled(world: World) -> World:
    """A plan since ten days ago, of which one phone used 1,200 MB an hour ago."""
    phone = world.device("phone", "maria", address="10.9.8.7")
    begun = int(time.time()) - 10 * DAY_S
    world.run("plan", "set", "--volume", "10GB", "--valid", "30d", "--start", iso(begun))
    world.used(phone, 200 * MB, 1_000 * MB, service=FILM, host="films.example.net",
               at=int(time.time()) - HOUR_S)  # fmt: skip
    return world


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name).decode() for name in file.namelist()}


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
