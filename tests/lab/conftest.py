from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, needs_lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab with two devices, for one test."""
    needs_lab()
    with Lab(devices=2) as lab:
        yield lab
