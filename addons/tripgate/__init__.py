"""tripgate: one travel data plan, many devices, and every byte has an owner.

Theory of operation
-------------------
A device's traffic passes a gateway. Whatever moves it there takes its bytes from the device's
*budget* first. A budget is filled by *grants* of the ledger, out of the device's, its person's and
the plan's limits at once; what was moved is *settled* there. Where the limits leave nothing there
is no grant, and without a grant there are no bytes.

Rules that never bend
1. Default deny is structural: what is granted starts at zero and only a successful grant raises
   it. A crash of any part stops bytes; it never frees them.
2. Reserve, make durable, then use: a grant is in the journal on disk before its first byte moves.
   A crash may over-count by at most the open leases; it never under-counts.
3. Used never falls, but by an audited credit.
4. Every byte has an owner.
5. The ledger is never on the data path: one call per slice, none per chunk.
6. Nothing grows without bound.
7. Durations are measured on the monotonic clock; periods are UTC instants computed in the plan's
   own time zone, and none begins or ends while the clock is not trusted.
8. Names from outside are hostile: parsed strictly, capped, escaped at the edge.
9. A person can read every refusal: which cap, how much was used, when it ends, what to do.
"""

__version__ = "0.1.0"
