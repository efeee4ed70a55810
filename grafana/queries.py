"""PromQL that several panels share.

Rules
1. Counters go through ``rate`` or ``increase`` before anything is summed: they restart at zero.
2. A device is shown by its name where the book has one, else by its id.
3. Over a range that the data does not fill yet, rates are low: Prometheus divides by the range.
"""

BACKGROUND = "os-update|app-store|cloud-sync|telemetry"
"""Categories that move data without somebody looking."""

CHOSEN = 'device=~"${device:regex}",person=~"${person:regex}"'
"""Matchers of the page's variables."""

LEFT = "clamp_min(tripgate_plan_limit_bytes - tripgate_plan_used_bytes, 0)"
SECONDS_LEFT = "clamp_min(tripgate_plan_expires_timestamp_seconds - time(), 1)"
PER_DAY_ALLOWED = f"{LEFT} / ({SECONDS_LEFT} / 86400)"
A_SECOND = "sum without (direction) (rate(tripgate_uplink_bytes_total[1d]))"
PACE = f"86400 * {A_SECOND} / ({PER_DAY_ALLOWED})"
RUNS_OUT = (
    f"1000 * (tripgate_plan_exhaustion_timestamp_seconds or time() + {LEFT} / ({A_SECOND} > 0))"
)
"""Milliseconds, as Grafana's dates want them."""


def traffic(function: str, window: str, by: str, more: str = "") -> str:
    """Charged bytes of the chosen devices, summed ``by`` labels."""
    selected = f"tripgate_traffic_bytes_total{{{CHOSEN}{more}}}"
    return f"sum by ({by}) ({function}({selected}[{window}]))"


def used(by: str) -> str:
    """Bytes in the page's time, summed ``by`` labels; who used nothing is left out."""
    return traffic("increase", "$__range", by) + " > 0"


def named(expr: str) -> str:
    """``expr`` (with a label ``device``) with the label ``name`` beside it."""
    return (
        f"({expr}) * on (device) group_left (name) tripgate_device_info or label_replace(({expr}) "
        'unless on (device) tripgate_device_info, "name", "$1", "device", "(.*)")'
    )


def caps(expr: str) -> str:
    """``expr`` over caps, with the label ``name``: the device's name, the person, or ``plan``.

    ``{}`` stands where the matchers go.
    """
    devices = expr.replace("{}", '{scope="device"}')
    others = expr.replace("{}", '{scope!="device"}')
    return (
        f'label_replace({devices}, "device", "$1", "target", "(.*)") * on (device) '
        f"group_left (name) tripgate_device_info or "
        f'label_replace({others}, "name", "$1", "target", "(.*)")'
    )
