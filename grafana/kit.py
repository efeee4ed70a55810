"""What all pages look like: panels with units, thresholds, legends and a description.

Rules
1. Volumes are in SI units (``decbytes``), speeds in bits a second (``bps``), as plans are sold.
2. Green is good, yellow asks for a look, red wants something done; colours mean nothing else.
3. Panels are 6, 12 or 24 of 24 columns wide. On a phone Grafana stacks them in order, so legends
   stand below and tables have few columns.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge as bargauge_builder
from grafana_foundation_sdk.builders import common, dashboard, prometheus
from grafana_foundation_sdk.builders import gauge as gauge_builder
from grafana_foundation_sdk.builders import stat as stat_builder
from grafana_foundation_sdk.builders import table as table_builder
from grafana_foundation_sdk.builders import timeseries as timeseries_builder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "tripgate"
BYTES, BITS, SHARE, SECONDS = "decbytes", "bps", "percentunit", "s"

Steps = tuple[tuple[float | None, str], ...]
"""Colours, each from a value on."""

GREEN, YELLOW, RED = "green", "yellow", "red"
NEUTRAL: Steps = ((None, "blue"),)
FILLING: Steps = ((None, GREEN), (0.8, YELLOW), (0.95, RED))
NEVER: Steps = ((None, GREEN), (1, RED))
MUST: Steps = ((None, RED), (1, GREEN))
PACES: Steps = ((None, GREEN), (1, YELLOW), (1.25, RED))

Query = prometheus.Dataquery


def q(expr: str, legend: str = "", *, instant: bool = False, columns: bool = False) -> Query:
    """A query; ``instant`` for one value, ``columns`` for a table."""
    made = Query().expr(expr).legend_format(legend or "__auto").datasource(SOURCE)
    if columns:
        made = made.format(PromQueryFormat.TABLE)
    return made.instant() if instant or columns else made.range()


def steps(levels: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value, colour) for value, colour in levels]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def words(**texts: str) -> list[model.ValueMapping]:
    """Shown instead of numbers: ``words(_0="down", _1="up")``."""
    options = {
        key.lstrip("_"): model.ValueMappingResult(text=text, index=index)
        for index, (key, text) in enumerate(texts.items())
    }
    return [model.ValueMap(options)]


def _dress(panel, title: str, text: str, queries: Sequence[Query], unit: str, span: int, tall: int):
    for number, query in enumerate(queries):
        panel = panel.with_target(query.ref_id("ABCDEFGH"[number]))
    return (
        panel.title(title).description(text).datasource(SOURCE).unit(unit).span(span).height(tall)
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def stat(
    title: str,
    text: str,
    *queries: Query,
    unit: str = "short",
    levels: Steps = NEUTRAL,
    mappings: Sequence[model.ValueMapping] = (),
    none: str = "-",
    span: int = 6,
) -> stat_builder.Panel:
    """One number."""
    panel = _dress(stat_builder.Panel(), title, text, queries, unit, span, 4)
    return (
        panel.thresholds(steps(levels))
        .mappings(list(mappings))
        .no_value(none)
        .reduce_options(_last())
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .color_mode(shapes.BigValueColorMode.VALUE)
        .text_mode(shapes.BigValueTextMode.AUTO)
    )


def gauge(title: str, text: str, query: Query, *, none: str = "-") -> gauge_builder.Panel:
    """A share from 0 to 1 that fills up."""
    panel = _dress(gauge_builder.Panel(), title, text, (query,), SHARE, 6, 4)
    return (
        panel.thresholds(steps(FILLING))
        .min(0)
        .max(1)
        .no_value(none)
        .reduce_options(_last())
        .show_threshold_markers(True)
    )


def bars(
    title: str,
    text: str,
    query: Query,
    *,
    unit: str = BYTES,
    levels: Steps = NEUTRAL,
    most: float | None = None,
    none: str = "nothing yet",
    span: int = 12,
) -> bargauge_builder.Panel:
    """Horizontal bars, the largest on top."""
    panel = _dress(bargauge_builder.Panel(), title, text, (query,), unit, span, 8)
    panel = panel.min(0) if most is None else panel.min(0).max(most)
    return (
        panel.thresholds(steps(levels))
        .no_value(none)
        .reduce_options(_last())
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
    )


def lines(
    title: str,
    text: str,
    *queries: Query,
    unit: str = BITS,
    stacked: bool = False,
    levels: Steps | None = None,
    none: str = "no data in this range",
    span: int = 12,
) -> timeseries_builder.Panel:
    """Values over time; the legend below says the last and the largest."""
    legend = (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI)
    stack = common.StackingConfig().mode(
        shapes.StackingMode.NORMAL if stacked else shapes.StackingMode.NONE
    )
    panel = _dress(timeseries_builder.Panel(), title, text, queries, unit, span, 8)
    return (
        panel.min(0)
        .no_value(none)
        .legend(legend)
        .tooltip(tooltip.sort(shapes.SortOrder.DESCENDING))
        .stacking(stack)
        .fill_opacity(40 if stacked else 10)
        .show_points(shapes.VisibilityMode.NEVER)
        .thresholds(steps(levels or NEUTRAL))
    )


def table(
    title: str,
    text: str,
    *queries: Query,
    shown: Sequence[tuple[str, str]],
    units: Sequence[tuple[str, str]] = (),
    join: bool = False,
    none: str = "nothing",
    span: int = 12,
) -> table_builder.Panel:
    """Rows of labels and values. ``shown``: the columns in order, as (field, heading);
    ``units``: of headings; ``join`` makes one row of what has the same labels."""
    panel = _dress(table_builder.Panel(), title, text, queries, "short", span, 8)
    if join:
        panel = panel.with_transformation(model.DataTransformerConfig("merge", options={}))
    fields = [field for field, _ in shown]
    only = {"include": {"names": fields}}
    order = {
        "indexByName": {field: index for index, field in enumerate(fields)},
        "renameByName": dict(shown),
        "excludeByName": {},
    }
    panel = panel.with_transformation(
        model.DataTransformerConfig("filterFieldsByName", options=only)
    ).with_transformation(model.DataTransformerConfig("organize", options=order))
    for heading, unit in units:
        panel = panel.override_by_name(heading, [model.DynamicConfigValue("unit", unit)])
    return panel.no_value(none).show_header(True).cell_height(shapes.TableCellHeight.SM)


# -- pages -------------------------------------------------------------------------------------


def row(title: str) -> dashboard.Row:
    return dashboard.Row(title)


def page(
    uid: str, title: str, text: str, *, since: str, chosen: bool = True
) -> dashboard.Dashboard:
    """A page with links to the others, and with the variables device and person if ``chosen``."""
    link = (
        dashboard.DashboardLink("tripgate")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time(since, "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(link)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    return made.with_variable(_person()).with_variable(_device()) if chosen else made


def _person() -> dashboard.QueryVariable:
    query = "label_values(tripgate_device_info, person)"
    return _choice("person", "Person", query)


def _device() -> dashboard.QueryVariable:
    """The devices of the chosen people, shown by name, asked for by id."""
    query = 'query_result(tripgate_device_info{person=~"${person:regex}"})'
    return _choice("device", "Device", query).regex(
        '/device="(?<value>[^"]+)".*name="(?<text>[^"]+)"/'
    )


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
