"""A family's travel day in network namespaces, with a real gateway: run by ``deploy/demo``."""
