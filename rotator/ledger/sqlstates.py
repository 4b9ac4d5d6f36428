"""What PostgreSQL says when it cannot: its codes, and the words of a connection that fails.

Codes are those of its manual, appendix A. The text of an error is never repeated: its details show rows.
"""

import re

# The beginnings of codes, our short word, what happened and what to do.
_CODES = (
    (
        ("40001", "40P01", "55P03", "57014"),
        "busy",
        "is kept busy by other sessions for too long. Nothing of this step was written.",
        "If it stays so, see pg_stat_activity for who holds it up.",
    ),
    (
        ("53100",),
        "full",
        "cannot grow: the server's disk is full. Nothing of this step was written.",
        "Free some space there; rotator goes on from where it was.",
    ),
    (
        ("53",),
        "exhausted",
        "is on a server that has no connection or memory left. Nothing of this step was written.",
        "Raise max_connections (a worker takes 20 at most), or let fewer clients connect.",
    ),
    (
        ("25006",),
        "read-only",
        "is on a server, or under a user, that may only read: a standby, mostly.",
        "Name the primary in the ledger's address, or all servers of the cluster, separated by commas.",
    ),
    (
        ("42501",),
        "rights",
        "refuses this user a right.",
        "Make the user the owner of the ledger's tables, or of an empty schema for them.",
    ),
    (
        ("42P01", "42P07", "42703", "3F000"),
        "foreign",
        "is in a schema that holds other tables than rotator's, or only some of them.",
        "Give the ledger a database of its own; if it had one, restore that from its backup.",
    ),
    (
        ("28",),
        "auth",
        "refuses this user.",
        "See the user in the address, its password file or certificate, and the server's pg_hba.conf.",
    ),
    (
        ("3D000",),
        "database",
        "does not exist.",
        "Create the database, or correct its name in the ledger's address.",
    ),
    (
        ("23",),
        "rule",
        (
            "refuses what would break one of its rules, such as a second live rotation of one secret. "
            "Nothing of this step was written."
        ),
        "This is a defect in rotator: please report it.",
    ),
    (
        ("XX001", "XX002", "58"),
        "corrupt",
        "is damaged, or its server cannot read or write its files.",
        (
            "Stop every worker, see the server's log, and restore the last backup; then let rotator "
            "reconcile before it revokes anything."
        ),
    ),
    (
        ("08", "57P", "25P03"),
        "down",
        "was cut off: its server ended it, or starts anew. Nothing of this step was written.",
        "See whether the server is up; rotator goes on from where it was.",
    ),
)

_SAID = {kind: f"{what} {todo}" for _, kind, what, todo in _CODES}

# A connection that cannot be made has no code, only words: libpq's, or a server's that speaks English.
_WORDS = (
    (("ssl", "certificate"), "tls"),
    (("authentication failed", "pg_hba.conf", "no password supplied", 'role ""'), "auth"),
    (('database ""',), "database"),
    (("read-only", "hot standby"), "read-only"),
    (("too many", "connection slots"), "exhausted"),
)
_NOT_CONNECTED = {
    "tls": (
        "is not reached: the connection cannot be encrypted, or the server does not prove who it is. Name in "
        "the address the file with its authority, sslrootcert=PATH, and the host as its certificate has it."
    ),
    "down": (
        "is not reached: its server does not answer. See that it is up, and that the host and port in the "
        "address are right."
    ),
}
PASSING = frozenset(
    {"busy", "full", "exhausted", "down", "in-doubt"}
)  # over by themselves, or by the server's people
_IN_DOUBT = (
    "was cut off while a step was being written: it is written whole or not at all, and nobody knows "
    "yet which. Nothing need be done: the next look reads what stands."
)


def not_connected(words: str) -> tuple[str, str]:
    """What happened and what to do, and our short word, for a connection that could not be made."""
    unquoted = re.sub(r'"[^"]*"', '""', words.lower())  # names of hosts and users say nothing
    kind = next((kind for parts, kind in _WORDS if any(part in unquoted for part in parts)), "down")
    return _NOT_CONNECTED.get(kind) or _SAID[kind], kind


def refused(sqlstate: str | None, *, committing: bool) -> tuple[str, str]:
    """The same for a statement; one without a code lost its connection, and a COMMIT then is in doubt."""
    kind = next((kind for codes, kind, *_ in _CODES if (sqlstate or "08").startswith(codes)), "")
    if committing and kind in ("down", ""):
        return _IN_DOUBT, "in-doubt"
    return _SAID.get(kind, f"cannot be used (SQLSTATE {sqlstate}). See its server's log."), kind or "database"
