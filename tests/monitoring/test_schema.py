"""The dashboards' JSON against Grafana's own types (@grafana/schema), by the TypeScript compiler.

Slow: npm downloads the types and the compiler once (schema/package-lock.json pins them).
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.pages import FILES, load

SCHEMA = Path(__file__).parent / "schema"
PANELS = {
    "stat": "Stat",
    "gauge": "Gauge",
    "bargauge": "BarGauge",
    "table": "Table",
    "timeseries": "TimeSeries",
}
FLAGS = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext",
         "--moduleResolution", "nodenext", "--typeRoots", "none")  # fmt: skip

IMPORTS = "import type { Dashboard, Panel, RowPanel } from '@grafana/schema';\n" + "".join(
    f"import type * as {name} from '@grafana/schema/dist/esm/raw/composable/{kind}/panelcfg/x/"
    f"{name}PanelCfg_types.gen';\n"
    for kind, name in PANELS.items()
)
PLAIN = """
// A type as JSON writes it: the member of an enum is its value.
type Plain<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked types and compiler."""
    made = tmp_path_factory.mktemp("schema")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SCHEMA / name, made)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=made, check=True, capture_output=True)
    return made


def statements(page: Any) -> list[tuple[str, Any]]:
    """Types, and the values that must be of them."""
    rest = {key: value for key, value in page.items() if key != "panels"}
    made: list[tuple[str, Any]] = [("Omit<Dashboard, 'panels'>", rest)]
    for panel in page["panels"]:
        if panel["type"] == "row":
            made.append(("RowPanel", panel))
            continue
        kind = PANELS[panel["type"]]
        made += [("Panel", panel), (f"Partial<{kind}.Options>", panel["options"])]
        if panel["type"] == "timeseries":
            custom = panel["fieldConfig"]["defaults"]["custom"]
            made.append((f"Partial<{kind}.FieldConfig>", custom))
    return made


def compile_page(folder: Path, page: Any) -> subprocess.CompletedProcess[str]:
    source = folder / "page.ts"
    lines = [
        f"export const v{number}: Plain<{kind}> = {json.dumps(value)};\n"
        for number, (kind, value) in enumerate(statements(page))
    ]
    source.write_text(IMPORTS + PLAIN + "".join(lines))
    tsc = folder / "node_modules" / ".bin" / "tsc"
    return subprocess.run(
        [tsc, *FLAGS, source.name], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", FILES)
def test_a_page_is_of_grafanas_types(folder: Path, name: str) -> None:
    done = compile_page(folder, load(name))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("graphTooltip",), "crosshair"),
        (("panels", 1, "gridPos", "w"), "6"),
        (("panels", 1, "fieldConfig", "defaults", "thresholds", "mode"), "relative"),
        (("panels", 1, "options", "showThresholdMarkers"), "yes"),
        (("panels", 1, "options", "no_such_option"), 1),
    ],
)
def test_a_wrong_value_is_seen(folder: Path, path: tuple[Any, ...], value: object) -> None:
    page = load("trip.json")
    place = page
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert re.search(r"error TS(2322|2353|2820)", compile_page(folder, page).stdout)
