"""From host names to services: the longest suffix, and no guesses."""

from pathlib import Path

import pytest

from tripgate.core.classify import UNKNOWN, Catalogue, CatalogueError

DATA = Path(__file__).parents[2] / "addons/tripgate/data/services.toml"


def one(hosts: str = '["a.example"]', name: str = "A", category: str = "video") -> str:
    return f'[[service]]\nname = "{name}"\ncategory = "{category}"\nhosts = {hosts}\n'


CATALOGUE = Catalogue.parse(
    one('["example.com"]', "Example") + one('["dl.example.com"]', "Downloads", "os-update")
)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        *(
            ("example.com", "Example"),
            ("www.example.com", "Example"),
            ("a.b.example.com", "Example"),
        ),
        *(("dl.example.com", "Downloads"), ("x.dl.example.com", "Downloads")),
        *(("badexample.com", "unknown"), ("com", "unknown"), ("", "unknown"), (None, "unknown")),
    ],
)
def test_the_longest_suffix_of_whole_labels_wins(host: str | None, service: str) -> None:
    assert CATALOGUE.classify(host).name == service


def test_what_nothing_matches_is_unknown_without_confidence() -> None:
    assert CATALOGUE.classify("other.example") == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        *("not toml [", one('["a b"]'), one("[5]"), one('["a.example", "A.EXAMPLE."]')),
        *(
            one(category="fun"),
            one(name=""),
            "[[service]]\nname=1\ncategory=[]\nhosts=[]",
            one(name="a|b"),
            one(name="a" * 41),
        ),
        *("[[service]]\nname = 'A'\n", "service = 5", "service = [1]", one("5")),
        one() + 'more = "x"\n',
        one() + 'confidence = "some"\n',
    ],
)
def test_a_catalogue_that_is_not_as_it_must_be_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError):
        Catalogue.parse(text)


def test_a_host_that_serves_several_things_has_low_confidence() -> None:
    assert Catalogue.parse(DATA.read_text()).classify("r1.gvt1.com").confidence == "low"
