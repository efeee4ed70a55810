"""The committed dashboards are what the code builds, and look as the kit says."""

import re
from pathlib import Path
from typing import Any

import pytest

from grafana.build import build
from tests.monitoring.pages import EVERY_QUERY, FILES, FOLDER, load, panels, queries
from tripgate.metrics import FAMILIES

README = (Path(__file__).parents[2] / "grafana" / "README.md").read_text()
MOST_QUERIES = 30
OTHERS = {
    "up", "scrape_duration_seconds", "ALERTS",
    "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes",
    "process_open_fds", "process_max_fds",
}  # fmt: skip
EVERY_PANEL = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name in FILES
    for panel in panels(load(name))
]


@pytest.mark.parametrize("name", FILES)
def test_the_committed_json_is_what_the_code_builds(name: str) -> None:
    assert (FOLDER / name).read_text() == build()[name], "run: python -m grafana.build"


def test_nothing_else_is_committed_beside_them() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES) == set(build())


@pytest.mark.parametrize("name", FILES)
def test_a_page_has_at_most_thirty_queries(name: str) -> None:
    variables = [v for v in load(name)["templating"]["list"] if v["type"] == "query"]
    assert len([*queries(name), *variables]) <= MOST_QUERIES


@pytest.mark.parametrize("name", FILES)
def test_a_page_links_to_the_others(name: str) -> None:
    page = load(name)
    (link,) = page["links"]
    assert (link["type"], link["tags"]) == ("dashboards", ["tripgate"])
    assert "tripgate" in page["tags"]


@pytest.mark.parametrize("name", ["trip.json", "device.json", "categories.json"])
def test_a_page_has_the_variables_device_and_person(name: str) -> None:
    variables = {variable["name"] for variable in load(name)["templating"]["list"]}
    assert {"datasource", "device", "person"} <= variables


def test_uids_are_unique() -> None:
    assert len({load(name)["uid"] for name in FILES}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_panels_have_ids_of_their_own(name: str) -> None:
    ids = [panel["id"] for panel in load(name)["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_says_what_it_shows(panel: Any) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_says_what_it_means_when_it_is_empty(panel: Any) -> None:
    assert panel["fieldConfig"]["defaults"]["noValue"]


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_is_a_quarter_a_half_or_the_whole_width(panel: Any) -> None:
    assert panel["gridPos"]["w"] in (6, 12, 24)


@pytest.mark.parametrize("name", FILES)
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in load(name)["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_asks_the_chosen_data_source(panel: Any) -> None:
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in sources)


@pytest.mark.parametrize(
    "panel", [one for one in EVERY_PANEL if one.values[0]["type"] == "timeseries"]
)
def test_lines_have_a_legend_below(panel: Any) -> None:
    legend = panel["options"]["legend"]
    assert (legend["showLegend"], legend["placement"]) == (True, "bottom")


@pytest.mark.parametrize("query", EVERY_QUERY, ids=str)
def test_a_query_asks_only_what_there_is(query: Any) -> None:
    known = {family.name for family in FAMILIES} | OTHERS
    bare = re.sub(r'"[^"]*"', '""', query.expr)
    asked = set(re.findall(r"\b(?:tripgate_\w+|process_\w+|scrape_\w+|up(?=\{)|ALERTS)", bare))
    assert asked
    assert asked <= known


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_every_metric_is_on_a_panel(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", query.expr) for query in EVERY_QUERY)


@pytest.mark.parametrize("name", FILES)
def test_the_readme_says_which_question_each_panel_answers(name: str) -> None:
    missing = [p["title"] for p in panels(load(name)) if f"| {p['title']} |" not in README]
    assert not missing
