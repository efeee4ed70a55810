"""The clock: periods turn only while it is trusted."""

from tripgate.cli.doctor.finding import Finding, Machine, ok, warn
from tripgate.clock import kernel_synchronised

MEND = (
    "turn NTP on (timedatectl set-ntp true), or answer for the clock yourself: "
    'trust = "host" under [clock] in the --config file'
)


async def clock(machine: Machine) -> list[Finding]:
    """Synchronised, or vouched for by the owner or the gateway."""
    if kernel_synchronised():
        return [ok("clock", "the kernel says it is synchronised")]
    if machine.trust_host:
        return [ok("clock", 'trusted by the setting clock.trust = "host"')]
    if machine.status and machine.status.get("clock") == "trusted":
        return [ok("clock", "the gateway trusts it")]
    return [warn("clock", "not synchronised: caps count, no period turns", MEND)]
