"""Providers on this machine that behave as documented, for the demo and the tests."""
