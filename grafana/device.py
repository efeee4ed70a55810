"""Device: what does this device, or this person's devices, use?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana import kit
from grafana.kit import BYTES, SHARE, q
from grafana.queries import CHOSEN, named, traffic

OF_DEVICE = 'scope="device",target=~"${device:regex}"'
OF_PERSON = 'scope="person",target=~"${person:regex}"'


def page() -> Dashboard:
    made = kit.page("tripgate-device", "Device", "What does a device use?", since="now-24h")
    return _caps(_uses(made))


def _uses(made: Dashboard) -> Dashboard:
    total = traffic("increase", "$__range", "direction", ',direction="{}"')
    return (
        made.with_row(kit.row("Use"))
        .with_panel(
            kit.stat(
                "Down",
                "Bytes to the chosen devices, in the chosen time.",
                q(total.replace("{}", "down"), "down", instant=True),
                unit=BYTES,
            )
        )
        .with_panel(
            kit.stat(
                "Up",
                "Bytes from the chosen devices, in the chosen time.",
                q(total.replace("{}", "up"), "up", instant=True),
                unit=BYTES,
            )
        )
        .with_panel(
            kit.table(
                "Devices",
                "Name, owner and state of the chosen devices.",
                q(f"tripgate_device_info{{{CHOSEN}}}", columns=True),
                shown=(("name", "Device"), ("person", "Person"), ("state", "State")),
            )
        )
        .with_panel(
            kit.lines(
                "Speed by device",
                "Both directions.",
                q("8 * (" + named(traffic("rate", "$__rate_interval", "device")) + ")", "{{name}}"),
            )
        )
        .with_panel(
            kit.lines(
                "Speed by direction",
                "Up and down of the chosen devices.",
                q("8 * " + traffic("rate", "$__rate_interval", "direction"), "{{direction}}"),
            )
        )
        .with_panel(
            kit.lines(
                "By category",
                "What the speed went to.",
                q("8 * " + traffic("rate", "$__rate_interval", "category"), "{{category}}"),
                stacked=True,
            )
        )
        .with_panel(
            kit.bars(
                "Background use",
                "Bytes that nobody asked for, by service, in the chosen time.",
                q(
                    "topk(10, sum by (service) (increase("
                    'tripgate_drain_bytes_total{device=~"${device:regex}"}[$__range])))',
                    "{{service}}",
                    instant=True,
                ),
                none="no drain found",
            )
        )
    )


def _caps(made: Dashboard) -> Dashboard:
    return (
        made.with_row(kit.row("Caps"))
        .with_panel(
            kit.bars(
                "Cap used, devices",
                "Share of each cap of the chosen devices.",
                q(_share(OF_DEVICE), "{{target}} {{period}}", instant=True),
                unit=SHARE,
                levels=kit.FILLING,
                most=1,
                none="no cap",
            )
        )
        .with_panel(
            kit.bars(
                "Cap used, people",
                "Share of each cap of the chosen people.",
                q(_share(OF_PERSON), "{{target}} {{period}}", instant=True),
                unit=SHARE,
                levels=kit.FILLING,
                most=1,
                none="no cap",
            )
        )
        .with_panel(
            kit.lines(
                "Cap over time",
                "Use in the period and the cap, of the chosen devices.",
                q(f"tripgate_cap_used_bytes{{{OF_DEVICE}}}", "{{target}} {{period}} used"),
                q(f"tripgate_cap_limit_bytes{{{OF_DEVICE}}}", "{{target}} {{period}} cap"),
                unit=BYTES,
                none="no cap",
            )
        )
        .with_panel(
            kit.lines(
                "Cap reached",
                "1 while a cap of the chosen devices is used up.",
                q(f"tripgate_cap_reached{{{OF_DEVICE}}}", "{{target}} {{period}}"),
                unit="short",
                none="no cap",
            )
        )
        .with_panel(
            kit.lines(
                "Warned at",
                "The highest warn level that was passed in the period, in per cent.",
                q(f"tripgate_cap_warned_percent{{{OF_DEVICE}}}", "{{target}} {{period}}"),
                unit="percent",
                none="no cap",
            )
        )
    )


def _share(matchers: str) -> str:
    return f"tripgate_cap_used_bytes{{{matchers}}} / tripgate_cap_limit_bytes{{{matchers}}}"
