"""What touches the operating system: neighbours, leases, child programs, system files."""
