"""Where volumes are kept: grant, settle, counters, the book of settings, the journal."""
