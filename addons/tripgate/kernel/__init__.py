"""The kernel: one nftables table, routing, and what was changed for it."""
