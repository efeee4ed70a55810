"""From a host to its service; and the catalogue that is shipped, held to its own rules."""

import importlib.resources

import pytest

from tripgate.core.classify import CATEGORIES, UNKNOWN, Catalogue, CatalogueError, Service, slug

DATA = importlib.resources.files("tripgate") / "data" / "services.toml"
SHIPPED = Catalogue.parse(DATA.read_text(encoding="utf-8"))


def parents(host: str) -> list[str]:
    labels = host.split(".")
    return [".".join(labels[n:]) for n in range(1, len(labels))]


def test_the_longest_suffix_wins_and_whole_labels_count() -> None:
    outer, inner = Service("outer", "news"), Service("inner", "video")
    made = Catalogue({"example.com": outer, "tv.example.com": inner})
    hosts = ["example.com", "a.example.com", "x.tv.example.com", "notexample.com", "com"]
    assert [made.classify(host) for host in hosts] == [outer, outer, inner, UNKNOWN, UNKNOWN]


def test_no_name_is_unknown() -> None:
    assert SHIPPED.classify(None) == UNKNOWN


def test_there_are_150_services_in_20_categories() -> None:
    services = set(SHIPPED.suffixes.values())
    assert len(services) >= 150
    assert len({service.category for service in services}) >= 20
    assert {service.category for service in services} == CATEGORIES


def test_no_service_is_listed_twice() -> None:
    text = DATA.read_text(encoding="utf-8")
    names = [slug(line) for line in text.splitlines() if line.startswith("name = ")]
    assert sorted(names) == sorted(set(names))


def test_no_suffix_is_shadowed_by_one_of_the_same_service() -> None:
    shadowed = [
        host
        for host, service in SHIPPED.suffixes.items()
        for parent in parents(host)
        if SHIPPED.suffixes.get(parent) == service
    ]
    assert shadowed == []


def test_no_service_is_called_like_a_category() -> None:
    assert not set(SHIPPED.services) & (CATEGORIES | {"all", "unknown"})


def test_no_suffix_is_a_whole_top_level_domain() -> None:
    assert [host for host in SHIPPED.suffixes if "." not in host] == []


@pytest.mark.parametrize(
    ("host", "category"),
    [
        ("dl.delivery.mp.microsoft.com", "os-update"),
        ("updates.cdn-apple.com", "os-update"),
        ("r1---sn-x.gvt1.com", "app-store"),
        ("p01-content.icloud-content.com", "cloud-sync"),
        ("metrics.icloud.com", "telemetry"),
        ("rr3---sn-4g5e.googlevideo.com", "video"),
        ("captive.apple.com", "connectivity-check"),
        ("connectivitycheck.gstatic.com", "connectivity-check"),
        ("e1.whatsapp.net", "essential"),
        ("example.org", "unknown"),
    ],
)
def test_known_hosts_are_where_people_expect_them(host: str, category: str) -> None:
    assert SHIPPED.classify(host).category == category


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("all", "all"),
        ("os-update", "os-update"),
        ("iCloud", "iCloud"),
        ("windows-update", "Windows Update"),
        ("Windows Update", "Windows Update"),
        ("no-such-thing", None),
    ],
)
def test_a_thing_is_a_category_a_service_or_all(text: str, thing: str | None) -> None:
    assert SHIPPED.thing(text) == thing


def test_a_list_on_top_does_not_override_the_catalogue() -> None:
    extra = Service("list", "ads")
    made = SHIPPED.extended({"icloud.com": extra, "ads.example": extra})
    assert [made.classify(h).name for h in ("icloud.com", "ads.example")] == ["iCloud", "list"]


@pytest.mark.parametrize(
    "text",
    [
        "[[service]]\nname='a'\ncategory='video'\nhosts=['x.com','x.com']",
        "[[service]]\nname='a'\ncategory='nonsense'\nhosts=['x.com']",
        "[[service]]\nname='a'\ncategory='video'\nhosts=['http://x']",
        "[[service]]\nname='a'",
        "[[service",
    ],
)
def test_a_broken_catalogue_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError):
        Catalogue.parse(text)
