"""Gateway health: does it count everything, and does it keep up?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import kit
from grafana.kit import BYTES, SECONDS, SHARE, q

OURS = '{job="tripgate"}'


def page() -> Dashboard:
    made = kit.page(
        "tripgate-health",
        "Gateway health",
        "Does the gateway count everything, and does it keep up?",
        since="now-6h",
        chosen=False,
    )
    for part in (_state, _identity, _leases, _flows, _process):
        made = part(made)
    return made


def _state(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("State"))
        .with_panel(
            kit.stat(
                "Gateway",
                "Prometheus reaches it.",
                q(f"up{OURS}"),
                levels=kit.MUST,
                mappings=kit.words(_0="down", _1="up"),
            )
        )
        .with_panel(
            kit.stat(
                "Ledger",
                "While it is down nothing is granted: no grant, no bytes.",
                q("tripgate_ledger_up"),
                levels=kit.MUST,
                mappings=kit.words(_0="down", _1="up"),
            )
        )
        .with_panel(
            kit.stat(
                "Clock",
                "While it is not trusted, caps count and no period turns.",
                q("tripgate_clock_trusted"),
                levels=kit.MUST,
                mappings=kit.words(_0="not trusted", _1="trusted"),
            )
        )
        .with_panel(
            kit.stat(
                "Version",
                "Version and mode of the gateway.",
                q("tripgate_build_info", "{{version}} {{mode}}"),
            ).text_mode(kit.shapes.BigValueTextMode.NAME)
        )
        .with_panel(
            kit.stat(
                "Up for",
                "Since the gateway's last start.",
                q(f"time() - process_start_time_seconds{OURS}"),
                unit="dtdurations",
            )
        )
        .with_panel(
            kit.stat(
                "Starts in a day",
                "Each one more than expected is a crash or a power cut.",
                q(f"changes(process_start_time_seconds{OURS}[1d])"),
                levels=((None, kit.GREEN), (2, kit.YELLOW), (5, kit.RED)),
            )
        )
    )


def _identity(made: Dashboard) -> Dashboard:
    unowned = "sum(increase(tripgate_unattributed_bytes_total[$__range]))"
    return (
        made.with_panel(
            kit.stat(
                "Without an owner",
                "Share of the uplink's bytes that no device and not the gateway accounts for.",
                q(
                    f"{unowned} / (sum(increase(tripgate_uplink_bytes_total[$__range])) > 0)",
                    instant=True,
                ),
                unit=SHARE,
                levels=((None, kit.GREEN), (0.001, kit.YELLOW), (0.01, kit.RED)),
            )
        )
        .with_panel(
            kit.stat(
                "Let through without a lease",
                "Only a policy that says so does that.",
                q("sum(increase(tripgate_fail_open_bytes_total[$__range]))", instant=True),
                unit=BYTES,
                levels=kit.NEVER,
            )
        )
        .with_row(kit.row("Every byte has an owner"))
        .with_panel(
            kit.lines(
                "Uplink and its owners",
                "The uplink's own count is devices + gateway + without an owner.",
                q(_bits("tripgate_uplink_bytes_total"), "uplink"),
                q(_bits("tripgate_traffic_bytes_total"), "devices"),
                q(_bits("tripgate_gateway_bytes_total"), "gateway"),
                q(_bits("tripgate_unattributed_bytes_total"), "without an owner"),
            )
        )
        .with_panel(
            kit.lines(
                "Uplink by direction",
                "Bits a second.",
                q(
                    "8 * sum by (direction) (rate(tripgate_uplink_bytes_total[$__rate_interval]))",
                    "{{direction}}",
                ),
            )
        )
    )


def _bits(counter: str) -> str:
    return f"8 * sum(rate({counter}[$__rate_interval]))"


def _leases(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("Ledger and leases"))
        .with_panel(
            kit.lines(
                "Ledger calls",
                "A second, by call and result. 50 busy devices cost about two.",
                q(
                    "sum by (call, result) (rate(tripgate_ledger_calls_total[$__rate_interval]))",
                    "{{call}} {{result}}",
                ),
                unit="ops",
            )
        )
        .with_panel(
            kit.lines(
                "Lease overrun",
                "Bytes that moved beyond what was granted: what had arrived unread at a cap.",
                q("increase(tripgate_lease_overrun_bytes_total[$__rate_interval])", "overrun"),
                unit=BYTES,
            )
        )
    )


def _flows(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("Connections"))
        .with_panel(
            kit.lines(
                "Open connections",
                "Of clients to the gateway, and metered ones upstream.",
                q("tripgate_flows", "{{state}}"),
                unit="short",
            )
        )
        .with_panel(
            kit.lines(
                "Verdicts",
                "Connections decided on, a second.",
                q(
                    "sum by (verdict) (rate(tripgate_flows_total[$__rate_interval]))",
                    "{{verdict}}",
                ),
                unit="cps",
            )
        )
    )


def _process(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("Machine"))
        .with_panel(
            kit.lines(
                "CPU",
                "CPU-seconds a second of the gateway's process; 1 is one whole core.",
                q(f"rate(process_cpu_seconds_total{OURS}[$__rate_interval])", "gateway"),
                unit=SHARE,
            )
        )
        .with_panel(
            kit.lines(
                "Memory",
                "Resident memory of the gateway's process.",
                q(f"process_resident_memory_bytes{OURS}", "gateway"),
                unit="bytes",
                levels=((None, kit.GREEN), (350 * 1024 * 1024, kit.RED)),
            )
        )
        .with_panel(
            kit.lines(
                "Latency",
                "How long the gateway takes to answer a scrape: its loop's own delay is in it.",
                q(f"scrape_duration_seconds{OURS}", "scrape"),
                unit=SECONDS,
            )
        )
        .with_panel(
            kit.lines(
                "Open files",
                "Descriptors of the gateway's process, and how many it may have.",
                q(f"process_open_fds{OURS}", "open"),
                q(f"process_max_fds{OURS}", "most"),
                unit="short",
            )
        )
    )
