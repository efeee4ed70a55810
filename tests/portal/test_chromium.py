"""A real browser, as wide as a phone, shows the pages as they are meant."""

import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.portal import scenes
from tests.portal.chromium import PHONE, PROGRAM, dom, picture
from tests.portal.scenes import OneVisitor, family

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Debian's chromium")
Scene = Callable[[OneVisitor], AbstractAsyncContextManager[str]]

PORTAL = ("annas-phone", "77\u00a0MB left", "500\u00a0MB per day", "YouTube", "Manage devices")
PENDING = ("Waiting for approval", "dev-", "One-time code")
REFUSAL = ("The data limit is reached", "annas-phone", "Tue 25 Nov, 00:00 (America/Mexico_City)")


def refused(log: str) -> list[str]:
    """What the browser would not run or apply."""
    return [line for line in log.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize(
    ("scene", "visitor", "texts"),
    [
        (scenes.portal, scenes.PHONE, PORTAL),
        (scenes.portal, scenes.NEW, PENDING),
        (scenes.refusal, scenes.PHONE, REFUSAL),
    ],
    ids=["portal", "pending", "refusal"],
)
async def test_the_page_says_what_it_should(
    tmp_path: Path, scene: Scene, visitor: str, texts: tuple[str, ...]
) -> None:
    world = await family(tmp_path)
    world.visitor = visitor
    async with scene(world) as url:
        page, log = await dom(url)
    body = page.replace("&nbsp;", "\u00a0").partition("<body")[2]
    assert [text for text in texts if text not in body] == []
    assert refused(log) == []


@pytest.mark.parametrize("scene", [scenes.portal, scenes.refusal], ids=["portal", "refusal"])
async def test_the_page_looks_different_at_night(tmp_path: Path, scene: Scene) -> None:
    world = await family(tmp_path)
    shots = {}
    async with scene(world) as url:
        for dark in (False, True):
            path = tmp_path / f"{dark}.png"
            await picture(url, path, dark=dark)
            shots[dark] = path.read_bytes()
    assert all(struct.unpack(">II", shot[16:24]) == PHONE for shot in shots.values())
    assert shots[True] != shots[False]
