"""A PostgreSQL that the tests start themselves, from the binaries that come with a package."""
