"""The kernel's side of the router mode: rules, routes, counters, who is on the LAN."""
