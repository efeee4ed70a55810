"""README names every setting."""

from pathlib import Path

import pytest

from tripgate.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"clock"}))
def test_every_option_is_in_the_readme(name: str) -> None:
    assert f"`--{name}`" in README


def test_the_trust_of_the_clock_is_in_the_readme() -> None:
    assert "`clock.trust`" in README
