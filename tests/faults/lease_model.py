"""The lease protocol as a small machine: every step it can take, from every state.

Rules
1. Volumes are small integers; time is absent, so everything may happen between any two steps.
2. The store (Redis) executes one call at a time. What it executed is on its disk only after
   ``persists``; a power cut takes the rest, and every call that is under way.
3. A gateway has one call under way. One that it gave up, or that outlived it, may still be
   executed later (``late``), or never.
4. A gateway's journal reaches the disk with ``sync``. kill -9 leaves what was written to it and
   the progress page; a power cut leaves what was synced, and no page.
5. After a lost contact a gateway tells the store all that it knows, and closes the leases that
   it does not know, before it asks for more (``replay``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.lease_state import (
    UNKNOWN,
    Call,
    Entry,
    Faults,
    Gate,
    Lease,
    Mutant,
    Phase,
    Stage,
    State,
    Store,
    put,
    put_gate,
    reserve,
)
from tests.faults.lease_store import FENCED, Broken, Scripts

Step = tuple[str, State]
GONE = Entry(stage=Stage.GONE)


@dataclass(frozen=True)
class Model:
    """``gateways`` with ``leases`` lease ids each share ``limit``; ``slice_`` is asked at once."""

    gateways: int = 1
    leases: int = 2
    limit: int = 2
    slice_: int = 2
    faults: Faults = Faults()
    mutant: Mutant | None = None

    @property
    def scripts(self) -> Scripts:
        return Scripts(self.limit, self.mutant)

    def start(self) -> State:
        """Nothing was granted, every gateway is down."""
        total = self.gateways * self.leases
        store = Store((Lease(),) * total, (0,) * total, (0,) * self.gateways)
        own = (Entry(),) * self.leases
        gate = Gate(journal=own, synced=own, page=(UNKNOWN,) * self.leases)
        gates = (gate,) * self.gateways
        return State(store, store, gates, (0,) * total, (0,) * self.gateways, self.faults)

    def steps(self, state: State) -> Iterator[Step]:
        """Every step from here. Raises :class:`Broken` for one that breaks an invariant."""
        yield from self._store_steps(state)
        for g, gate in enumerate(state.gates):
            yield from self._late_steps(state, g, gate)
            match gate.phase:
                case Phase.DOWN:
                    yield "start", self.claim(state, g)
                case Phase.CLAIMED:
                    yield "decide", self.decide(state, g)
                case Phase.DECIDED:
                    yield "recover", self.recover(state, g)
                    yield "recover, no reply", self.recover(state, g, heard=False)
                case Phase.LIVE:
                    yield from self._live_steps(state, g, gate)
            if gate.phase is not Phase.DOWN:
                yield from self._crashes(state, g, gate)

    # -- the store --------------------------------------------------------------------------

    def _store_steps(self, state: State) -> Iterator[Step]:
        if state.now == state.disk:
            return
        yield "store persists", state._replace(disk=state.now)
        if state.faults.store_cuts:
            yield "store loses power", self._store_cut(state)

    def _store_cut(self, state: State) -> State:
        replays = self.mutant is not Mutant.NO_REPLAY
        gates = tuple(
            gate._replace(call=None, late=None, lost=replays and gate.phase is Phase.LIVE)
            for gate in state.gates
        )
        # A gateway alone replays before it asks: nobody is given what the store forgot.
        freed = sum(map(_freed, state.now.leases, state.disk.leases)) if self.gateways > 1 else 0
        faults = state.faults._replace(store_cuts=state.faults.store_cuts - 1)
        return state._replace(
            now=state.disk, gates=gates, forgot=state.forgot + freed, faults=faults
        )

    def _late_steps(self, state: State, g: int, gate: Gate) -> Iterator[Step]:
        if gate.late is None:
            return
        store, _ = self.scripts.execute(state.now, g, gate.late)
        if gate.late.want and store != state.now and gate.late.run != gate.run:
            raise Broken("I7: an instance that was replaced was granted something")
        yield "late call", put_gate(state._replace(now=store), g, gate._replace(late=None))

    # -- a live gateway ---------------------------------------------------------------------

    def _live_steps(self, state: State, g: int, gate: Gate) -> Iterator[Step]:
        if gate.call:
            yield from self._call_steps(state, g, gate, gate.call)
        elif gate.lost:
            yield "replay", self.replay(state, g)
            yield "replay, no reply", self.replay(state, g, heard=False)
        else:
            yield from self._new_calls(state, g, gate)
        if gate.journal != gate.synced:
            yield "sync", put_gate(state, g, gate._replace(synced=gate.journal, usable=gate.have))
        if gate.open and not gate.closing and gate.taken < self._usable(gate):
            yield "use", self._use(state, g, gate)
        if not gate.lost:
            yield from self._forget(state, g, gate)

    def _usable(self, gate: Gate) -> int:
        return gate.have if self.mutant is Mutant.USE_BEFORE_SYNC else gate.usable

    def _call_steps(self, state: State, g: int, gate: Gate, call: Call) -> Iterator[Step]:
        if call.reply is None:
            store, reply = self.scripts.execute(state.now, g, call)
            done = gate._replace(call=call._replace(reply=reply))
            yield "executed", put_gate(state._replace(now=store), g, done)
        else:
            yield "reply", put_gate(state, g, self._hear(gate, call, call.reply))
        if state.faults.losses:
            faults = state.faults._replace(losses=state.faults.losses - 1)
            late = call if call.reply is None else gate.late
            gate = gate._replace(call=None, late=late)
            yield "no reply", put_gate(state._replace(faults=faults), g, gate)

    def _hear(self, gate: Gate, call: Call, reply: int) -> Gate:
        gate = gate._replace(call=None)
        if call.want:
            return gate._replace(lost=True) if reply == FENCED else _granted(gate, reply)
        if call.final:
            return _next(self._closed(gate, gate.lease, call.used))
        return gate

    def _closed(self, gate: Gate, lease: int, used: int) -> Gate:
        """The journal learns that the store has confirmed the end of a lease."""
        entry = gate.journal[lease]
        if entry.stage is Stage.NONE:
            return gate
        forget = self.mutant is Mutant.FORGET_AT_ONCE
        closed = GONE if forget else Entry(entry.granted, used, Stage.CLOSED)
        page = put(gate.page, lease, UNKNOWN)
        return gate._replace(journal=put(gate.journal, lease, closed), page=page)

    def _new_calls(self, state: State, g: int, gate: Gate) -> Iterator[Step]:
        if gate.lease == self.leases:
            return
        call = Call(gate.run, g * self.leases + gate.lease, gate.usable)
        synced = gate.have == gate.usable
        if synced and not gate.closing and gate.taken >= gate.usable:
            asked = gate._replace(open=True, call=call._replace(want=self.slice_))
            yield "ask", put_gate(state, g, asked)
        call = call._replace(used=gate.taken)
        if gate.open and gate.taken and not gate.closing:
            yield "settle", put_gate(state, g, gate._replace(call=call))
        if gate.open and synced:
            final = call._replace(final=True)
            yield "close", put_gate(state, g, gate._replace(call=final, closing=True))

    def _use(self, state: State, g: int, gate: Gate) -> State:
        lease = g * self.leases + gate.lease
        taken = gate.taken + 1
        page = taken - 1 if self.mutant is Mutant.PAGE_LATE else taken
        gate = gate._replace(taken=taken, page=put(gate.page, gate.lease, page))
        truth = put(state.truth, lease, state.truth[lease] + 1)
        return put_gate(state._replace(truth=truth), g, gate)

    def _forget(self, state: State, g: int, gate: Gate) -> Iterator[Step]:
        """After ten seconds of contact what the store confirmed is on its disk."""
        for lease, entry in enumerate(gate.journal):
            if entry.stage is Stage.CLOSED and state.disk.leases[g * self.leases + lease].closed:
                forgotten = gate._replace(journal=put(gate.journal, lease, GONE))
                yield "forget", put_gate(state, g, forgotten)

    # -- crashes and what comes after -------------------------------------------------------

    def _crashes(self, state: State, g: int, gate: Gate) -> Iterator[Step]:
        faults = state.faults
        sent = gate.call if gate.call and gate.call.reply is None else None
        for late in (sent, gate.late) if sent != gate.late else (sent,):
            dead = _dead(gate, late)
            if faults.kills:
                left = state._replace(faults=faults._replace(kills=faults.kills - 1))
                yield "kill -9", put_gate(left, g, dead)
            if faults.cuts:
                left = state._replace(faults=faults._replace(cuts=faults.cuts - 1))
                yield "power cut", self._power_cut(left, g, dead)

    def _power_cut(self, state: State, g: int, dead: Gate) -> State:
        page = (UNKNOWN,) * self.leases
        if self.mutant is Mutant.PAGE_OUTLIVES_BOOT:
            page = tuple(min(value, 0) for value in dead.page)  # as it was written back long ago
        dead = dead._replace(journal=dead.synced, page=page)
        return put_gate(state._replace(cuts=put(state.cuts, g, state.cuts[g] + 1)), g, dead)

    def claim(self, state: State, g: int) -> State:
        """A new instance becomes the one that speaks for the gateway."""
        gate = state.gates[g]
        page = (UNKNOWN,) * self.leases if self.mutant is Mutant.PAGE_REUSED else gate.page
        gate = gate._replace(phase=Phase.CLAIMED, run=gate.run + 1, page=page)
        return put_gate(state._replace(now=_own(state.now, g, gate.run)), g, gate)

    def decide(self, state: State, g: int) -> State:
        """Journal what each lease has used, durably, before anybody settles it."""
        gate = state.gates[g]
        journal = tuple(map(self._decided, gate.journal, gate.page))
        page = (UNKNOWN,) * self.leases  # from now its slots may be given to other leases
        gate = gate._replace(journal=journal, synced=journal, page=page, phase=Phase.DECIDED)
        return put_gate(state, g, gate)

    def _decided(self, entry: Entry, page: int) -> Entry:
        if entry.stage is not Stage.OPEN:
            return entry
        used = entry.granted if page == UNKNOWN else page
        if self.mutant is Mutant.CRASH_CHARGES_NOTHING:
            used = 0
        return Entry(entry.granted, used, Stage.ENDED)

    def recover(self, state: State, g: int, *, heard: bool = True) -> State:
        """Settle all that the journal knows, close what it does not know, then go to work."""
        state = self._tell(state, g, sweep=self.mutant is not Mutant.RECOVERY_NO_SWEEP)
        if not heard:
            return state
        gate = state.gates[g]
        for lease, entry in enumerate(gate.journal):
            if entry.stage is Stage.ENDED:
                gate = self._closed(gate, lease, entry.used)
        if self.mutant is Mutant.RECOVERY_FORGETS:
            gone = tuple(GONE if x.stage is Stage.CLOSED else x for x in gate.journal)
            gate = gate._replace(journal=gone, synced=gone)
        return put_gate(state, g, gate._replace(phase=Phase.LIVE))

    def replay(self, state: State, g: int, *, heard: bool = True) -> State:
        """Tell a store that comes back what it may have lost."""
        state = self._tell(state, g, sweep=self.mutant is not Mutant.REPLAY_NO_SWEEP)
        return put_gate(state, g, state.gates[g]._replace(lost=not heard))

    def _tell(self, state: State, g: int, *, sweep: bool) -> State:
        gate = state.gates[g]
        store = _own(state.now, g, gate.run)
        for lease, entry in enumerate(gate.journal):
            at = g * self.leases + lease
            row = Call(gate.run, at, entry.granted, used=entry.used, final=True)
            if gate.open and lease == gate.lease:
                row = row._replace(have=gate.usable, used=gate.taken, final=gate.closing)
                wanted = gate.usable > 0
            elif entry.stage in (Stage.NONE, Stage.GONE):
                wanted = sweep and store.leases[at].known
            else:
                wanted = True
            if wanted:
                store, _ = self.scripts.execute(store, g, row)
        return state._replace(now=store)

    # -- what must hold ---------------------------------------------------------------------

    def check(self, state: State) -> str | None:
        """The first invariant that does not hold here, if any."""
        store = state.now
        excused = state.forgot + store.overrun if self.gateways > 1 else 0
        if store.used + store.reserved > self.limit + excused:
            return "I2: used + reserved is over the limit"
        if store.reserved != sum(map(reserve, store.leases)):
            return "I3: reserved is not what open leases hold"
        end = self.drain(state)
        if end.reserved:
            return "I9: idle, and something is reserved"
        for g, cuts in enumerate(state.cuts):
            own = slice(g * self.leases, (g + 1) * self.leases)
            over = [a - b for a, b in zip(end.charged[own], state.truth[own], strict=True)]
            if min(over) < 0:
                return "I1: bytes moved that nobody will count"
            if sum(over) > cuts * self.slice_:
                return "I8: charged more than the crashes may charge"
        return None

    def drain(self, state: State) -> Store:
        """The store after every gateway came back, settled and closed; no call arrives late."""
        for g in range(self.gateways):
            if state.gates[g].phase is Phase.DOWN:
                state = self.claim(state, g)
            if state.gates[g].phase is Phase.CLAIMED:
                state = self.decide(state, g)
            if state.gates[g].phase is Phase.DECIDED:
                state = self.recover(state, g)
            if state.gates[g].lost:
                state = self.replay(state, g)
            gate = state.gates[g]
            if gate.open:
                at = g * self.leases + gate.lease
                row = Call(gate.run, at, gate.usable, used=gate.taken, final=True)
                store, _ = self.scripts.execute(state.now, g, row)
                state = state._replace(now=store)
        return state.now


def _freed(before: Lease, after: Lease) -> int:
    """What a store that falls back lets others have, though it may still be charged."""
    return max(0, before.granted - after.granted)


def _own(store: Store, g: int, run: int) -> Store:
    return store._replace(owners=put(store.owners, g, run))


def _granted(gate: Gate, granted: int) -> Gate:
    """A grant is written to the journal; not yet synced."""
    if granted <= gate.have:
        return gate
    entry = Entry(granted, stage=Stage.OPEN)
    page = put(gate.page, gate.lease, gate.taken)
    return gate._replace(have=granted, journal=put(gate.journal, gate.lease, entry), page=page)


def _next(gate: Gate) -> Gate:
    """The lease is closed; the next one has another id."""
    return gate._replace(lease=gate.lease + 1, open=False, closing=False, have=0, usable=0, taken=0)


def _dead(gate: Gate, late: Call | None) -> Gate:
    gate = gate._replace(phase=Phase.DOWN, call=None, late=late, lost=False)
    return _next(gate) if gate.open else gate
