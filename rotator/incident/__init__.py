"""A whole fleet rotated by a person: in which order, how fast, and what came of it.

Values and pure decisions, and a fact of the ledger by which the same command goes on after a kill. Orders are
given by the command line; the two stories carry them out, here or in a daemon.
"""
