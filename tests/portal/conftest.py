"""A portal's world for each test."""

from pathlib import Path

import pytest

from tests.portal.worlds import PortalWorld, make_world


@pytest.fixture
def world(tmp_path: Path) -> PortalWorld:
    return make_world(tmp_path)
