"""``tripgate backup`` and ``restore``: the whole ledger in one file, and back.

Rules
1. A backup is made while the gateway runs; settings, counters and leases are of one instant, the
   usage buckets at most a moment younger.
2. A restore needs a stopped gateway: it holds the state folder while it writes. It checks the whole
   file first; until it is done there are no settings, so that nothing passes after a half one.
3. Leases that were open when the backup was made are charged in full, unless this folder's own
   journal knows better.
4. State of a newer schema is refused.
"""
