"""All languages say the same things."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from tripgate.core.model import Period, Target, device_target, person_target
from tripgate.portal.words import LANGUAGES, for_reader, load

PORTAL = Path(str(resources.files("tripgate.portal")))
PLACEHOLDER = re.compile(r"\{(\w*)\}")
ENGLISH = load("en").texts
NOON = 1_763_985_600  # Monday 24 November 2025, 12:00 UTC


def placeholders(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


def test_there_is_a_file_for_every_language_and_no_other() -> None:
    assert {path.stem for path in (PORTAL / "locales").iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_language_has_every_word_and_no_other(tag: str) -> None:
    assert load(tag).texts.keys() == ENGLISH.keys()


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_language_has_the_same_placeholders(tag: str) -> None:
    texts = load(tag).texts
    other = [key for key in ENGLISH if placeholders(texts[key]) != placeholders(ENGLISH[key])]
    assert other == []


@pytest.mark.parametrize("tag", LANGUAGES)
def test_no_word_is_empty(tag: str) -> None:
    assert all(text.strip() for text in load(tag).texts.values())


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_language_has_seven_days_and_twelve_months(tag: str) -> None:
    words = load(tag)
    assert (len(words.weekdays), len(words.months)) == (7, 12)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_language_file_has_nothing_that_nobody_reads(tag: str) -> None:
    document = tomllib.loads((PORTAL / "locales" / f"{tag}.toml").read_text())
    known = {"language", "decimal", "byte", "weekdays", "months", "moment", "words"}
    assert set(document) == known


def test_every_word_is_used() -> None:
    source = "".join(
        path.read_text() for path in [*PORTAL.glob("*.py"), *PORTAL.glob("templates/*.html")]
    )
    made = {"scope_", "per_", "title_", "text_", "todo_", "claim_w", "claim_v"}
    states = {"approved", "pending", "blocked"}
    unused = [
        key
        for key in ENGLISH
        if f'"{key}"' not in source and key not in states and not key.startswith(tuple(made))
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("tag", "volume"),
    [
        ("en", "1.23 GB"),
        ("de", "1,23 GB"),
        ("fr", "1,23 Go"),
        ("es", "1,23 GB"),
        ("pt", "1,23 GB"),
        ("it", "1,23 GB"),
        ("zh", "1.23 GB"),
        ("ja", "1.23 GB"),
    ],
)
def test_volumes_are_written_as_the_language_does(tag: str, volume: str) -> None:
    assert load(tag).volume(1_234_000_000) == volume.replace(" ", "\u00a0")


def test_binary_units_are_kept() -> None:
    assert load("fr").volume(3 << 30, "GiB") == "3\u00a0Gio"


@pytest.mark.parametrize(
    ("tag", "moment"),
    [
        ("en", "Mon 24 Nov, 06:00"),
        ("es", "lun 24 nov, 06:00"),
        ("de", "Mo, 24. Nov., 06:00 Uhr"),
        ("fr", "lun. 24 nov., 06:00"),
        ("pt", "seg. 24 nov., 06:00"),
        ("it", "lun 24 nov, 06:00"),
        ("zh", "11月24日（周一）06:00"),  # noqa: RUF001
        ("ja", "11月24日（月）06:00"),  # noqa: RUF001
    ],
)
def test_instants_are_local_to_the_plan_and_written_as_the_language_does(
    tag: str, moment: str
) -> None:
    assert load(tag).moment(NOON, "America/Mexico_City") == moment


@pytest.mark.parametrize("tag", LANGUAGES)
@pytest.mark.parametrize("period", Period)
def test_every_period_can_be_said(tag: str, period: Period) -> None:
    assert "500" in load(tag).limit(500_000_000, period)


@pytest.mark.parametrize("target", [device_target("dev-x"), person_target("anna")])
def test_a_person_is_named_and_a_device_is_this_one(target: Target) -> None:
    assert ("anna" in load("en").scope(target)) == (target.kind == "person")


def test_a_reader_of_another_language_gets_english() -> None:
    assert for_reader("nl-NL, sv;q=0.5").tag == "en"
