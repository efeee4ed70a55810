"""Who pays in tests of a meter: a budget and nothing else."""

from dataclasses import dataclass

from tripgate.core.lease import Budget


@dataclass
class Paying:
    budget: Budget
