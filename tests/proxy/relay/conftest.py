from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.relay.relay_world import RelayWorld, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RelayWorld]:
    async with running(tmp_path) as made:
        yield made
    for sock in made.made:  # left open, they would be closed in the midst of another test
        sock.close()
