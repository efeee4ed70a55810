"""The guest pool: unknown devices share one volume a day instead of waiting for approval.

Rules
1. A guest is an approved device of the person ``guests``, who has a day's cap of the pool's size:
   everything that holds for people and their devices holds for guests too.
2. The setting has the last word: the cap is put back when the next guest comes, and at each start.
3. Who is blocked stays blocked. Without the setting nobody becomes a guest; who is one stays one
   until a person decides otherwise.
"""

from dataclasses import replace

from tripgate.core.book import Book, add_person, approve_device, set_cap
from tripgate.core.model import GUESTS, Cap, DeviceState, Period, person_target


def open_pool(book: Book, volume: int, now: int) -> Book:
    """Everybody who waits is a guest, and all guests together have ``volume`` bytes a day."""
    if GUESTS not in book.people:
        book = add_person(book, GUESTS, now)
    cap = Cap(person_target(GUESTS), Period.DAY, volume, created_at=now)
    before = book.caps.get((cap.target, cap.period))
    if before is None or before.limit != volume or before.soft:
        book = set_cap(book, replace(cap, warn=before.warn) if before else cap)
    for device in book.devices.values():
        if device.state is DeviceState.PENDING:
            book = approve_device(book, device.id, GUESTS)
    return book
