"""README names every setting."""

from pathlib import Path

import pytest

from tripgate.settings import SECTIONS, Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - set(SECTIONS)))
def test_every_option_is_in_the_readme(name: str) -> None:
    assert f"`--{name}`" in README


def test_the_trust_of_the_clock_is_in_the_readme() -> None:
    assert "`clock.trust`" in README


@pytest.mark.parametrize(
    "name",
    [f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields],
)
def test_every_setting_of_a_section_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README
