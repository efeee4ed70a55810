"""What one decision costs: a host classified and judged, at 1,000 and at 100,000 rules.

``decide_us`` is of 100,000 rules, 200 devices and 500 policies; ``decide_growth_1k_to_100k`` its
ratio to the same at 1,000 rules, measured turn by turn in one run.
"""

import random
import time

from tripgate.core.classify import Catalogue, Service
from tripgate.core.model import PLAN, Target, device_target, person_target
from tripgate.core.policy import Moment, Policies, Policy, Verb

RUNS, HOSTS = 15, 2_000
DEVICES, PEOPLE, POLICIES = 200, 40, 500
NOW = Moment(1_800_000_000)
CATEGORIES = ("cloud-sync", "video", "games", "telemetry", "os-update")


def catalogue(rules: int, dice: random.Random) -> tuple[Catalogue, list[str]]:
    """Rules over invented hosts, and hosts to ask about: half known, some deep, half unknown."""
    known = [f"s{index}.cdn{dice.randrange(999)}.example" for index in range(rules)]
    services = [Service(f"service {index}", CATEGORIES[index % 5]) for index in range(150)]
    made = Catalogue({host: dice.choice(services) for host in known})
    asked = [f"a{dice.randrange(9)}.b.{dice.choice(known)}" for _ in range(HOSTS // 2)]
    asked += [f"x{index}.y.cdn{index}.example.org" for index in range(HOSTS // 2)]
    dice.shuffle(asked)
    return made, asked


def policies(dice: random.Random) -> Policies:
    targets = [PLAN, *(device_target(f"d{n}") for n in range(DEVICES))]
    targets += [person_target(f"p{n}") for n in range(PEOPLE)]
    things = [*CATEGORIES[:4], *(f"service {n}" for n in range(150))]
    made = [
        Policy(
            f"p{n}", dice.choice(list(Verb)), dice.choice(things), dice.choice(targets),
            rate=500_000, daily=(22 * 60, 7 * 60) if n % 3 else None, created_at=n,
        )
        for n in range(POLICIES)
    ]  # fmt: skip
    return Policies(made, "America/Mexico_City")


def measure(made: Catalogue, asked: list[str], rules: Policies) -> float:
    """Microseconds of one decision."""
    scopes: list[tuple[Target, ...]] = [
        (device_target(f"d{n}"), person_target(f"p{n % PEOPLE}"), PLAN) for n in range(DEVICES)
    ]
    begun = time.perf_counter()
    for index, host in enumerate(asked):
        rules.decide(scopes[index % DEVICES], made.classify(host), NOW, host=host)
    return (time.perf_counter() - begun) / len(asked) * 1e6


def decide() -> dict[str, list[float]]:
    """The figures of every run."""
    dice = random.Random(5)
    rules = policies(dice)
    small, large = catalogue(1_000, dice), catalogue(100_000, dice)
    pairs = [(measure(*small, rules), measure(*large, rules)) for _ in range(RUNS)]
    return {
        "decide_us": [large for _, large in pairs],
        "decide_growth_1k_to_100k": [large / small for small, large in pairs],
    }
