"""Categories: what did the data go to, and what was turned away?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import kit
from grafana.kit import BYTES, SHARE, q
from grafana.queries import BACKGROUND, named, traffic, used


def page() -> Dashboard:
    made = kit.page("tripgate-categories", "Categories", "What did the data go to?", since="now-7d")
    return _turned_away(_went_to(made))


def _went_to(made: Dashboard) -> Dashboard:
    everything = used("")
    unknown = traffic("increase", "$__range", "", ',category="unknown"')
    behind = traffic("increase", "$__range", "", f',category=~"{BACKGROUND}"')
    return (
        made.with_row(kit.row("What it went to"))
        .with_panel(
            kit.bars(
                "By category",
                "Bytes in the chosen time.",
                q(f"sort_desc({used('category')})", "{{category}}", instant=True),
            )
        )
        .with_panel(
            kit.lines(
                "Over time",
                "Speed by category, both directions.",
                q("8 * " + traffic("rate", "$__rate_interval", "category"), "{{category}}"),
                stacked=True,
            )
        )
        .with_panel(
            kit.stat(
                "Behind your back",
                "Share of updates, app stores, cloud sync and telemetry in the chosen time.",
                q(f"({behind}) / ({everything})", instant=True),
                unit=SHARE,
                levels=((None, kit.GREEN), (0.25, kit.YELLOW), (0.5, kit.RED)),
            )
        )
        .with_panel(
            kit.stat(
                "Unknown",
                "Share of bytes whose service the catalogue does not know.",
                q(f"({unknown}) / ({everything})", instant=True),
                unit=SHARE,
            )
        )
        .with_panel(
            kit.stat(
                "Uploads",
                "Bytes sent in the chosen time; backups show here.",
                q(traffic("increase", "$__range", "direction", ',direction="up"'), instant=True),
                unit=BYTES,
            )
        )
        .with_panel(
            kit.stat(
                "Drains",
                "Bytes of background use that nobody asked for, in the chosen time.",
                q(
                    "sum(increase("
                    'tripgate_drain_bytes_total{device=~"${device:regex}"}[$__range]))',
                    instant=True,
                ),
                unit=BYTES,
                none="no drain found",
            )
        )
        .with_panel(
            kit.table(
                "Category by person",
                "Bytes in the chosen time.",
                q(f"sort_desc({used('category, person')})", columns=True),
                shown=(("category", "Category"), ("person", "Person"), ("Value", "Bytes")),
                units=(("Bytes", BYTES),),
            )
        )
        .with_panel(
            kit.table(
                "Drains by device and service",
                "Background use that nobody asked for, in the chosen time.",
                q(
                    named(
                        "sum by (device, service) (increase("
                        'tripgate_drain_bytes_total{device=~"${device:regex}"}[$__range]))'
                    ),
                    columns=True,
                ),
                shown=(("name", "Device"), ("service", "Service"), ("Value", "Bytes")),
                units=(("Bytes", BYTES),),
                none="no drain found",
            )
        )
    )


def _turned_away(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("What was turned away (all devices)"))
        .with_panel(
            kit.lines(
                "Refused connections",
                "By reason. Bytes that were never sent cannot be counted.",
                q(
                    'sum by (verdict) (increase(tripgate_flows_total{verdict!="allow"}'
                    "[$__rate_interval]))",
                    "{{verdict}}",
                ),
                unit="short",
            )
        )
        .with_panel(
            kit.lines(
                "Cut connections",
                "Ended in mid-flow, by reason.",
                q(
                    "sum by (reason) (increase(tripgate_flows_cut_total[$__rate_interval]))",
                    "{{reason}}",
                ),
                unit="short",
            )
        )
    )
