"""Trip: is the plan going to last, and who and what uses it?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import kit
from grafana.kit import BYTES, SHARE, q
from grafana.queries import LEFT, PACE, PER_DAY_ALLOWED, RUNS_OUT, caps, named, traffic, used

NO_PLAN = "no plan volume set"


def page() -> Dashboard:
    made = kit.page("tripgate-trip", "Trip", "Is the plan going to last?", since="now-24h")
    for part in (_lasts, _uses, _caps):
        made = part(made)
    return made


def _lasts(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("Is it going to last?"))
        .with_panel(
            kit.gauge(
                "Plan used",
                "Share of the plan's volume that is used: devices, gateway and unattributed.",
                q("tripgate_plan_used_bytes / tripgate_plan_limit_bytes", "used"),
                none=NO_PLAN,
            )
        )
        .with_panel(kit.stat("Left", "Volume left in the plan.", q(LEFT), unit=BYTES, none=NO_PLAN))
        .with_panel(
            kit.stat(
                "Time left",
                "Until the plan's validity ends.",
                q("tripgate_plan_expires_timestamp_seconds - time()"),
                unit="dtdurations",
                none="no end",
            )
        )
        .with_panel(
            kit.stat(
                "May be used a day",
                "What is left, spread evenly over the days that are left.",
                q(PER_DAY_ALLOWED),
                unit=BYTES,
                none=NO_PLAN,
            )
        )
        .with_panel(
            kit.stat(
                "Pace",
                "Use of the last 24 hours over what may be used a day. Above 1 the plan does not "
                "last. Low in the first day: there is less than a day to look at.",
                q(PACE),
                levels=kit.PACES,
                none=NO_PLAN,
            )
        )
        .with_panel(
            kit.stat(
                "Runs out",
                "The gateway's forecast; until it has one, at the pace of the last 24 hours.",
                q(RUNS_OUT),
                unit="dateTimeFromNow",
                none=NO_PLAN,
            )
        )
        .with_panel(
            kit.stat(
                "Last 24 hours",
                "Bytes on the uplink, both directions.",
                q("sum(increase(tripgate_uplink_bytes_total[1d]))"),
                unit=BYTES,
            )
        )
        .with_panel(
            kit.stat(
                "Alerts",
                "Alerts that are firing now; the list is below.",
                q('count(ALERTS{alertstate="firing"}) or vector(0)'),
                levels=kit.NEVER,
            )
        )
        .with_panel(
            kit.lines(
                "Plan over time",
                "What is used of the plan, and its volume.",
                q("tripgate_plan_used_bytes", "used"),
                q("tripgate_plan_limit_bytes", "volume"),
                unit=BYTES,
                span=24,
            )
        )
    )


def _uses(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("Who and what?"))
        .with_panel(
            kit.bars(
                "By person",
                "Bytes in the chosen time, by owner; devices without one are together.",
                q(
                    f'topk(10, label_replace({used("person")}, "person", "nobody", "person", ""))',
                    "{{person}}",
                    instant=True,
                ),
            )
        )
        .with_panel(
            kit.bars(
                "By device",
                "Bytes in the chosen time, the ten largest.",
                q(
                    f"topk(10, {named(used('device'))})",
                    "{{name}}",
                    instant=True,
                ),
            )
        )
        .with_panel(
            kit.bars(
                "By category",
                "What it went to, in the chosen time.",
                q(
                    f"topk(10, {used('category')})",
                    "{{category}}",
                    instant=True,
                ),
            )
        )
        .with_panel(
            kit.lines(
                "Now",
                "Speed of the chosen devices, by direction.",
                q("8 * " + traffic("rate", "$__rate_interval", "direction"), "{{direction}}"),
            )
        )
    )


def _caps(made: Dashboard) -> Dashboard:
    share = "tripgate_cap_used_bytes{} / tripgate_cap_limit_bytes{}"
    return (
        made.with_row(kit.row("Caps and alerts"))
        .with_panel(
            kit.table(
                "Caps",
                "Every cap with its use in the present period.",
                q(caps("tripgate_cap_used_bytes{}"), columns=True),
                q(caps("tripgate_cap_limit_bytes{}"), columns=True),
                q(caps(share), columns=True),
                shown=(
                    ("name", "Who"),
                    ("period", "Period"),
                    ("Value #A", "Used"),
                    ("Value #B", "Cap"),
                    ("Value #C", "Share"),
                ),
                units=(("Used", BYTES), ("Cap", BYTES), ("Share", SHARE)),
                join=True,
                none="no caps",
            )
        )
        .with_panel(
            kit.table(
                "Alerts firing",
                "From Prometheus' rules (deploy/prometheus).",
                q('ALERTS{alertstate="firing"}', columns=True),
                shown=(("alertname", "Alert"), ("severity", "Severity"), ("target", "Who")),
                none="none",
            )
        )
    )
