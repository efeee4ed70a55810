"""What the router follows while it runs."""

import asyncio
from types import SimpleNamespace

import pytest

from tripgate.router import Router


async def test_a_resolver_that_takes_its_time_to_change_does_not_hold_up_the_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tripgate.router.FOLLOW_S", 0)
    followed, changing = 0, asyncio.Event()

    def follow() -> None:
        nonlocal followed
        followed += 1

    async def change(wanted: bool) -> None:
        changing.set()
        await asyncio.Event().wait()

    router = Router.__new__(Router)
    parts = {
        "meter": SimpleNamespace(thirsty=False),
        "lan": SimpleNamespace(follow=follow),
        "doors": SimpleNamespace(let_log_in=lambda slot: None),
        "_login": SimpleNamespace(device=lambda: None),
        "_answer_private": change,
    }
    for name, part in parts.items():
        setattr(router, name, part)
    tasks = [asyncio.ensure_future(work) for work in (router._follow(), router._follow_login())]
    async with asyncio.timeout(10):
        await changing.wait()
        before = followed
        while followed < before + 3:  # noqa: ASYNC110 - a loop that has no event
            await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
