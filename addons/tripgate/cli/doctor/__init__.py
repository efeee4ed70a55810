"""``tripgate doctor``: small checks of one interface, each with what was found and how to mend it.

Rules
1. A check is a function of a ``Machine`` that gives findings; it changes nothing and does not
   raise on what it looks for.
2. ``fail``: the gateway cannot do its work. ``warn``: it works, with a risk that is named. Each of
   the two says how to mend it.
3. No check takes longer than its own deadline; all of them end within seconds.
"""
