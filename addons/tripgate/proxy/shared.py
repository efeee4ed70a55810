"""What devices know, between their grants, of a limit that they share.

Rules
1. A grant tells what the tightest limit leaves beyond all leases. For everybody who was told it
   falls by what others are granted, and rises by what a lease gives back at its end.
2. A grant that came after a settlement was sent may know of it: to who had that nothing comes back,
   what is left is rather taken for less.
3. Everybody's windows are held to a part of it (:attr:`Account.beyond`): those who share it may all
   be offered it at once.
"""

from collections.abc import Iterable, Mapping

from tripgate.core import limits
from tripgate.core.book import Book
from tripgate.core.model import Device, DeviceState, Target
from tripgate.proxy.account import Account, Lease


def told(account: Account, left: int | None, sharers: int, grants: int) -> None:
    """``left`` bytes beyond all leases, as the grant number ``grants`` says."""
    account.left, account.sharers, account.told = left, sharers, grants


def granted(accounts: Iterable[Account], account: Account, lease: Lease, volume: int) -> None:
    """``account`` has been granted ``volume`` bytes more: they are not left to the others."""
    for other in accounts:
        if other is not account and other.left is not None and other.tightest in lease.limits:
            other.left -= volume
            other.hold()


def returned(accounts: Iterable[Account], lease: Lease, used: int, grants: int) -> None:
    """A lease has ended; its settlement was sent after the grant number ``grants``."""
    for account in accounts:
        knew = account.told > grants
        if account.left is not None and account.tightest in lease.limits and not knew:
            account.left += max(0, lease.budget.granted - used)


def shares(book: Book, account: Account, accounts: Mapping[str, Account]) -> Mapping[Target, int]:
    """How many active devices draw on each scope of a device."""
    device = book.devices.get(account.device) or gone(account.device)
    return limits.shares(book, device, [one for one, its in accounts.items() if its.active])


def gone(device_id: str) -> Device:
    """A device that was forgotten while its last bytes are still counted."""
    return Device(device_id, device_id, DeviceState.BLOCKED)
