"""A kernel's counter becomes a total that never falls.

A counter starts at zero again when its rule, its interface or the machine does. It is never below
what was read before but for that: a smaller reading is a new generation, whose bytes are all new.
What was counted between the last reading and the reset is lost here; the difference to the uplink
interface's own count shows it as unattributed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Total:
    """Bytes of all generations, and the reading that they were last raised by."""

    bytes: int = 0
    reading: int = 0
    generation: int = 0

    def read(self, reading: int) -> "Total":
        """The total after ``reading`` bytes were read from the counter."""
        if reading < 0:
            raise ValueError(f"a counter is never negative: {reading}")
        if reading < self.reading:
            return Total(self.bytes + reading, reading, self.generation + 1)
        return Total(self.bytes + reading - self.reading, reading, self.generation)

    def restarted(self) -> "Total":
        """The total when the counter is known to be at zero again."""
        return Total(self.bytes, 0, self.generation + 1)
