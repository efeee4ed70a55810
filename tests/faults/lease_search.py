"""Breadth-first search over every state of a model; the way to a broken one is a shortest one."""

from dataclasses import dataclass

from tests.faults.lease_model import Model
from tests.faults.lease_state import State
from tests.faults.lease_store import Broken


@dataclass(frozen=True)
class Found:
    """How many states there were, and how one broke an invariant (``rule`` is ``None``: none)."""

    states: int
    rule: str | None = None
    steps: tuple[str, ...] = ()


def search(model: Model) -> Found:
    """Look at every state that the model can reach, or until one is broken."""
    first = model.start()
    came: dict[State, tuple[State, str] | None] = {first: None}
    front = [first]
    while front:
        reached: list[State] = []
        for state in front:
            try:
                for step, after in model.steps(state):
                    if after in came:
                        continue
                    came[after] = state, step
                    reached.append(after)
                    rule = model.check(after)
                    if rule:
                        return Found(len(came), rule, _way(came, after))
            except Broken as broken:
                return Found(len(came), str(broken), _way(came, state))
        front = reached
    return Found(len(came))


def _way(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    steps: list[str] = []
    at = came[state]
    while at:
        state, step = at
        steps.append(step)
        at = came[state]
    return tuple(reversed(steps))
