"""Names of the keys in Redis. ``lua/`` uses the same.

Rules
1. Every key begins with the hash tag ``{plan}:``, so that all of them are in one slot of a cluster.
2. ``scope:TARGET``: a hash of ``PERIOD.start``, ``.used``, ``.reserved`` and ``life.used``.
   ``lease:ID``: a hash; ``open``: the set of ids that are not closed; ``closed:GATEWAY``: when the
   others were closed, in seconds of the gateway's ``contact``.
3. ``use:…``: the usage buckets, hashes of bytes. ``seen``: when each device was last seen.
4. ``book``, ``version``, ``edit``: the settings and which edit made them; ``audit``: a stream of
   edits; ``changed``: the channel that tells of them.
5. ``folded``: devices that are no more, and whose bytes theirs are now.
6. ``sessions``: how far each session of a plan's uplink is paid ahead (``common.lua``).
7. Schema 1 had no ``sessions``, and its first usage buckets had longer fields
   (:mod:`tripgate.core.usagefields`). :mod:`tripgate.upgrade` makes this schema of it.
8. ``gateway:ID``: the live instance and when it was heard of; ``schema``: the version of all this.
"""

SCHEMA = 2
PREFIX = "{plan}:"

AUDIT = PREFIX + "audit"
BOOK = PREFIX + "book"
CHANGED = PREFIX + "changed"
OPEN = PREFIX + "open"
SCHEMA_KEY = PREFIX + "schema"
SEEN = PREFIX + "seen"
VERSION = PREFIX + "version"
