"""The frame around every page: policy, self-containedness, colours that can be read."""

import re
from importlib import resources
from pathlib import Path

import pytest

from tests.portal.worlds import PortalWorld
from tripgate.portal import look

TEMPLATES = Path(str(resources.files("tripgate.portal"))) / "templates"
COLOUR = re.compile(r"--([a-z-]+): (#[0-9a-f]{3,6})")
TEXTS = [
    ("text", "ground"), ("text", "card"), ("soft", "ground"), ("soft", "card"),
    ("brand-text", "brand"), ("brand", "card"), ("good", "good-ground"), ("near", "near-ground"),
    ("bad", "bad-ground"), ("text", "track"),
]  # fmt: skip
SHAPES = [("brand", "track"), ("near-bar", "track"), ("bad", "track"), ("soft", "card")]


def schemes() -> dict[str, dict[str, str]]:
    light, dark = str(look.style()).split("@media (prefers-color-scheme: dark)")
    return {
        "light": dict(COLOUR.findall(light)),
        "dark": dict(COLOUR.findall(dark)),
    }


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_can_be_read_on_its_ground(scheme: str, text: str, ground: str) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5  # WCAG 2.2, 1.4.3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_bars_can_be_seen_on_their_track(scheme: str, shape: str, ground: str) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[shape], colours[ground]) >= 3  # WCAG 2.2, 1.4.11


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_a_template_fetches_nothing(path: Path) -> None:
    assert not re.search(r"https?://|url\(|@import|\bsrc=|<link|<img|<iframe", path.read_text())


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_a_template_marks_nothing_as_safe_and_has_no_inline_style(path: Path) -> None:
    assert not re.search(r"\|\s*safe|\bstyle=|\bon[a-z]+=|autoescape", path.read_text())


async def test_the_policy_allows_the_page_its_own_style_and_script(world: PortalWorld) -> None:
    async with world.visit() as browser:
        got = await browser.get("/")
    policy = got.headers["content-security-policy"]
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", got.text, re.DOTALL)
        assert text
        assert f"{tag}-src '{look._hash(text[1])}'" in policy


def test_code_is_escaped_too() -> None:
    assert look.code("a <b> `c <d>`") == "a &lt;b&gt; <code>c &lt;d&gt;</code>"
