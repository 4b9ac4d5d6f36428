"""Who issues keys: one file for each provider, found by an explicit table."""
