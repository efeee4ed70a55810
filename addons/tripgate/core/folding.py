"""Where the bytes of devices go that are no more.

Rules
1. Used never vanishes: what a device used that a new book does not know is counted for its heir
   from then on, what its last connections still bring too.
2. The heir of a merged device is the one that has its identities now; a device that was forgotten
   has :data:`~tripgate.core.model.FORGOTTEN`, which all of them share.
"""

from tripgate.core.book import Book
from tripgate.core.model import FORGOTTEN


def folds(before: Book, after: Book) -> tuple[tuple[str, str], ...]:
    """Each device of ``before`` that is not in ``after``, with its heir (ids)."""
    found = []
    for gone in before.devices.values():
        if gone.id not in after.devices:
            heirs = (after.by_identity.get(one) for one in gone.identities)
            heir = next((device.id for device in heirs if device), FORGOTTEN)
            found.append((gone.id, heir))
    return tuple(found)
