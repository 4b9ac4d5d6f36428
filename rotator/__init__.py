"""Replaces API keys on a schedule, and at once when one leaks, and loses nothing."""

__version__ = "0.1.0"
