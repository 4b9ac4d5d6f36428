"""What the ledger remembers of an incident: who asked for what, and when. So the same command goes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.interfaces import Ledger

SAME = timedelta(days=1)  # for so long the same command means the same incident, unless all of it was covered
_PREFIX = "incident:"
_ID = 8  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Incident:
    """One order of a person over many secrets, by the ledger's clock.

    ``secrets`` are canonical ids in the order of the plan; ``grace`` is None for each policy's own;
    ``ended_at`` is when all of it was covered.
    """

    id: str
    by: str
    reason: str
    at: datetime
    secrets: tuple[str, ...]
    grace: timedelta | None = None
    revoke_first: bool = False
    ended_at: datetime | None = None

    def means(self, other: "Incident") -> bool:
        """Whether both ask for the same, whoever gives the command."""
        mine = (self.reason, frozenset(self.secrets), self.grace, self.revoke_first)
        return mine == (other.reason, frozenset(other.secrets), other.grace, other.revoke_first)


def begin(ledger: Ledger, asked: Incident) -> Incident:
    """The one that goes on, where the same was asked for within a day and is not covered; else this one."""
    for known in incidents(ledger):
        if known.ended_at is None and known.means(asked) and ledger.now() - known.at < SAME:
            return known
    ledger.remember(f"{_PREFIX}{asked.id}", _text(asked))
    return asked


def covered(ledger: Ledger, incident: Incident) -> Incident:
    """Write that all of an incident is covered. May be called twice: the first time counts."""
    ended = replace(incident, ended_at=ledger.now())
    if incident.ended_at is None and ledger.swap(f"{_PREFIX}{incident.id}", _text(incident), _text(ended)):
        return ended
    return incident


def incidents(ledger: Ledger) -> Sequence[Incident]:
    """Every incident, the newest first."""
    found = [_read(text) for text in ledger.facts(_PREFIX).values()]
    return sorted(found, key=lambda one: (one.at, one.id), reverse=True)


def fresh_id(random_hex: str) -> str:
    """An incident's id."""
    return random_hex[:_ID]


def _text(one: Incident) -> str:
    grace = None if one.grace is None else one.grace.total_seconds()
    return json.dumps(
        {
            "id": one.id,
            "by": one.by,
            "reason": one.reason,
            "at": one.at.isoformat(),
            "secrets": one.secrets,
            "grace": grace,
            "revoke_first": one.revoke_first,
            "ended_at": one.ended_at.isoformat() if one.ended_at else None,
        }
    )


def _read(text: str) -> Incident:
    kept = json.loads(text)
    return Incident(
        id=kept["id"],
        by=kept["by"],
        reason=kept["reason"],
        at=datetime.fromisoformat(kept["at"]),
        secrets=tuple(kept["secrets"]),
        grace=None if kept["grace"] is None else timedelta(seconds=kept["grace"]),
        revoke_first=kept["revoke_first"],
        ended_at=datetime.fromisoformat(kept["ended_at"]) if kept["ended_at"] else None,
    )
