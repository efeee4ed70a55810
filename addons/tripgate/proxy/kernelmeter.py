"""Readings of the kernel's counters, brought to the accounts (router mode).

Rules
1. One reading for all devices, in the settlement's own rhythm.
2. Every byte has an owner: the box itself is ``(gateway)``, and what the uplink counted and no
   slot has is ``(unattributed)``. Both are charged to the plan.
3. What was posted is remembered in a page that survives the process as long as the kernel's
   counters do: after a crash nothing is lost and nothing comes twice.
4. A reading that is smaller than the last one is a new generation of the counter. What was counted
   in between is lost (:meth:`lost`): the interface's own count says how much, the flows' estimates
   whose it was. Only what they do not explain is nobody's.
5. After each reading the kernel gets its part of every open device's budget, as far as policies
   and caps let it pass (:mod:`tripgate.proxy.pace`).
"""

import logging
from collections.abc import Container, Mapping
from typing import Protocol

from tripgate.core import marks
from tripgate.core.counts import NOTHING, Reading, SlotCount, Volume, fresh, fresh_bytes, share
from tripgate.core.gap import Gap
from tripgate.core.model import GATEWAY, UNATTRIBUTED, Device, DeviceState
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.kernelaccount import Counted, KernelAccount
from tripgate.proxy.pace import Pace

log = logging.getLogger("tripgate.kernelmeter")


class Counters(Protocol):
    """The kernel's side."""

    def read(self) -> Reading: ...

    def allow(self, volumes: Mapping[int, int]) -> None:
        """Let so many more bytes of each slot be forwarded, from the last reading on."""


class Posted(Protocol):
    """What was posted of each slot, kept across a crash."""

    def get(self, slot: int) -> SlotCount: ...
    def set(self, slot: int, count: SlotCount) -> None: ...


class KernelMeter:
    """Reads, posts and refills."""

    def __init__(self, desk: LeaseDesk, counters: Counters, posted: Posted) -> None:
        self.uplink = self.gateway = self.unattributed = NOTHING
        """L3 bytes since the start, for status and metrics."""
        self.thirsty = False
        """A device has forwarded a good part of its quota, or all: read again soon."""
        self.present: Container[str] = ()
        """Ids of the devices that are on the LAN now."""
        self._desk = desk
        self._counters = counters
        self._posted = posted
        self._pace = Pace(desk.judge)
        self._gap = Gap()
        self._slots = NOTHING
        self._spent: frozenset[int] = frozenset()
        self._parts: Mapping[int, int] = {}
        self._uplink_before: Volume | None = None
        self._lost: dict[str, Volume] = {}

    def read(self) -> None:
        """Bring one reading to the accounts. Raises what the kernel's side raises."""
        reading = self._counters.read()
        owners = self._owners()
        # A slowed device is stopped on purpose: reading early for it would only cost it, for what
        # falls between a reading and its grant is dropped and fills the grant.
        slowed = {slot for slot, owner in owners.items() if self._pace.slows(owner)}
        busy = False
        for slot, count in reading.slots.items():
            new = self._new(slot, count)
            self._slots += new.total
            busy |= slot not in slowed and new.forwarded > self._parts.get(slot, 0) // 8
            self._post(owners.get(slot, UNATTRIBUTED), slot, new)
            self._posted.set(slot, count)
        self._look_at_uplink(reading.uplink)
        self._post_lost()
        self._look_for_gap()
        self._pace.turn(self._desk.clock.monotonic())
        self._spent = reading.spent - slowed
        self.refill()
        self.thirsty = busy or any(self._parts.get(slot) for slot in self._spent)

    def _owners(self) -> dict[int, str]:
        devices = {device.slot: device.id for device in self._desk.book.devices.values()}
        return {**devices, marks.GATEWAY: GATEWAY, marks.NOBODY: UNATTRIBUTED}

    def _new(self, slot: int, count: SlotCount) -> Counted:
        before = self._posted.get(slot)
        return Counted(
            fresh(before.total, count.total), fresh_bytes(before.forwarded, count.forwarded)
        )

    def _post(self, owner: str, slot: int, new: Counted) -> None:
        if owner == GATEWAY:
            self.gateway += new.total
        elif owner == UNATTRIBUTED:
            self.unattributed += new.total
        self._pace.counted(owner, new.forwarded)
        account = self._desk.accounts.get(owner)
        if account is None and not new.total.total:
            return
        account = self._desk.account(owner)
        assert isinstance(account, KernelAccount)
        account.count(new)
        if new.total.total and account.budget.low:
            self._desk.low(account)

    def lost(self) -> None:
        """The kernel's counters began anew: keep the estimates since the last reading."""
        for device, account in self._desk.accounts.items():
            assert isinstance(account, KernelAccount)
            moved = account.estimate()
            if moved.total:
                self._lost[device] = self._lost.get(device, NOTHING) + moved

    def _post_lost(self) -> None:
        """Estimates in the place of lost counts, as far as the uplink has counted them too."""
        if not self._lost:
            return
        missing = self.uplink - self._slots - self._gap.known
        whole = Volume(max(0, missing.up), max(0, missing.down))
        slots = {device.id: device.slot for device in self._desk.book.devices.values()}
        for device, volume in share(whole, self._lost).items():
            self._slots += volume
            self._post(device, slots.get(device, marks.NOBODY), Counted(volume, 0))
        self._lost.clear()

    def _look_at_uplink(self, uplink: Volume) -> None:
        if self._uplink_before is not None:
            self.uplink += fresh(self._uplink_before, uplink)
        else:
            self._slots = NOTHING  # what was counted before the first look at the interface
        self._uplink_before = uplink

    def _look_for_gap(self) -> None:
        new = self._gap.look(self.uplink, self._slots)
        if new.total:
            self._post(UNATTRIBUTED, marks.NOBODY, Counted(new, 0))

    def refill(self) -> None:
        """Give the kernel its part of every budget; nothing to devices that are not open."""
        self._parts = {one.slot: self._part(one) for one in self._desk.book.devices.values()}
        try:
            self._counters.allow(self._parts)
        except OSError as error:  # the old quotas stand: they only ever run out
            log.warning("the kernel's quotas cannot be set: %s", error)

    def _part(self, device: Device) -> int:
        if not _open(device) and device.id not in self._desk.accounts:
            return 0
        account = self._desk.account(device.id)
        assert isinstance(account, KernelAccount)
        account.present = device.id in self.present
        account.refill = self.refill
        account.dry = device.slot in self._spent
        if _open(device) and account.present:
            if account.needs_lease:
                self._desk.low(account)
            self._desk.try_again(account)
        volume = account.hold_for_kernel(_open(device), self._pace.most(account))
        self._pace.let(device.id, volume)
        return volume


def _open(device: Device) -> bool:
    return device.state is DeviceState.APPROVED
