"""Where secrets live: one file for each store, found by an explicit table."""
