"""``tripgate reconcile``: the carrier's figure beside our own, and a file that proves the bill.

Rules
1. Our count of the plan is that of its counter: devices, gateway and what is nobody's, both
   directions. It is noted together with the carrier's reading; for an earlier time it is made from
   the minutes (two days) or hours (60 days) that the ledger keeps, and says how sure it is.
2. A report is about the plan in force; readings of earlier plans stay, and are in an export.
3. An export holds ids and names of devices, never a MAC, an address, a host name, a person, an
   interface or a secret. It replaces no file unless it is told to.
"""
