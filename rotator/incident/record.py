"""What the ledger remembers of an incident: who asked for what, and when. So the same command goes on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.incident.coverage import Asked
from rotator.interfaces import Ledger

SAME = timedelta(days=1)  # for so long the same command means the same incident, unless all of it was covered
_PREFIX = "incident:"
_ID = 8  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Incident:
    """One order of a person over many secrets, by the ledger's clock.

    ``secrets`` are canonical ids in the order of the plan; ``grace`` is None for each policy's own;
    ``rotated_at`` is when all of them were covered, ``ended_at`` when nothing was left beside them either.
    ``leaked`` is by secret the versions that held the key, where some did, and ``besides`` what a person must
    see to beside them, as sentences. Keys that were issued at ``issued_before``, or later, stay. ``choice``
    is what the secrets were chosen by; empty where that is not known.
    """

    id: str
    by: str
    reason: str
    at: datetime
    secrets: tuple[str, ...]
    grace: timedelta | None = None
    revoke_first: bool = False
    rotated_at: datetime | None = None
    ended_at: datetime | None = None
    leaked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    besides: tuple[str, ...] = ()
    issued_before: datetime | None = None
    choice: str = ""

    def means(self, other: "Incident") -> bool:
        """Whether both ask for the same, whoever gives the command. Policies come and go meanwhile, and fewer
        secrets hold a leaked key later: what they have in common is not rotated twice.
        """
        if self.leaked:
            return self.like(other) and not _places(self).isdisjoint(_places(other))
        return self.like(other) and not frozenset(self.secrets).isdisjoint(other.secrets)

    def like(self, other: "Incident") -> bool:
        """Whether both are given by the same words, whatever these choose now; a leaked key tells enough."""
        mine = (self.reason, self.grace, self.revoke_first, bool(self.leaked))
        alike = mine == (other.reason, other.grace, other.revoke_first, bool(other.leaked))
        unknown = bool(self.leaked) or not (self.choice and other.choice)
        return alike and (unknown or self.choice == other.choice) and self._as_old(other.issued_before)

    def _as_old(self, before: datetime | None) -> bool:
        """Whether an age given later may be this one, counted from now: then no key of this incident is older
        than that.
        """
        mine = self.issued_before
        if before is None or mine is None:
            return before is mine
        return mine <= before <= max(mine, self.at)

    def asks(self, secret: str) -> Asked:
        """What it asks of one secret."""
        none = self.grace is not None and not self.grace
        leaked = tuple(self.leaked.get(secret, ()))
        return Asked(self.at, none, leaked, self.rotated_at, self.issued_before)

    def merged(self, asked: "Incident") -> "Incident":
        """The same with the secrets and versions that were added, and what a person must see to now."""
        secrets = tuple(dict.fromkeys((*self.secrets, *asked.secrets)))
        leaked = {
            secret: tuple(dict.fromkeys((*self.leaked.get(secret, ()), *asked.leaked.get(secret, ()))))
            for secret in (*self.leaked, *asked.leaked)
        }
        more = (secrets, leaked) != (self.secrets, self.leaked)
        return replace(
            self,
            secrets=secrets,
            leaked=leaked,
            besides=asked.besides,
            issued_before=asked.issued_before,
            rotated_at=None if more else self.rotated_at,
        )


def _places(one: Incident) -> set[tuple[str, str]]:
    """Where its key was found, by secret and version."""
    return {(secret, version) for secret, versions in one.leaked.items() for version in versions}


def begin(ledger: Ledger, asked: Incident) -> Incident:
    """The one that goes on, where the same was asked for within a day and is not covered; else this one."""
    known = same(ledger, asked)
    if known is not None:
        return _with(ledger, known, asked)
    ledger.remember(f"{_PREFIX}{asked.id}", _text(asked))
    return asked


def same(ledger: Ledger, asked: Incident) -> Incident | None:
    """The incident of a day at most that is not covered and in which the same was asked for; None: none."""
    recent = (one for one in incidents(ledger) if one.ended_at is None and ledger.now() - one.at < SAME)
    return next((one for one in recent if one.means(asked)), None)


def covered_before(ledger: Ledger, asked: Incident) -> Incident | None:
    """The newest incident of a day at most in which the very same was asked for, and covered; None: none."""
    recent = (one for one in incidents(ledger) if one.ended_at is not None and ledger.now() - one.at < SAME)
    return next((one for one in recent if one.means(asked)), None)


def _with(ledger: Ledger, known: Incident, asked: Incident) -> Incident:
    """The one that goes on, with the secrets that were added, and what a person must see to now."""
    now = known.merged(asked)
    if now != known and ledger.swap(f"{_PREFIX}{known.id}", _text(known), _text(now)):
        return now
    return known


def going_on(ledger: Ledger, asked: Incident) -> frozenset[str]:
    """The secrets of incidents of the same words that are not covered yet; which ``asked`` has does not
    matter.
    """
    known = (one for one in incidents(ledger) if one.like(asked) and one.ended_at is None)
    return frozenset(secret for one in known if ledger.now() - one.at < SAME for secret in one.secrets)


def covered(ledger: Ledger, incident: Incident) -> Incident:
    """Write that all secrets of an incident are covered, and the whole where nothing is left beside them. May
    be called twice: the first time counts.
    """
    now = ledger.now()
    ended_at = incident.ended_at or (None if incident.besides else now)
    after = replace(incident, rotated_at=incident.rotated_at or now, ended_at=ended_at)
    if after != incident and ledger.swap(f"{_PREFIX}{incident.id}", _text(incident), _text(after)):
        return after
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
            "rotated_at": one.rotated_at.isoformat() if one.rotated_at else None,
            "ended_at": one.ended_at.isoformat() if one.ended_at else None,
            "leaked": dict(one.leaked),
            "besides": one.besides,
            "issued_before": one.issued_before.isoformat() if one.issued_before else None,
            "choice": one.choice,
        }
    )


def _when(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


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
        rotated_at=_when(kept.get("rotated_at", kept["ended_at"])),
        ended_at=_when(kept["ended_at"]),
        leaked={secret: tuple(versions) for secret, versions in kept.get("leaked", {}).items()},
        besides=tuple(kept.get("besides", ())),
        issued_before=_when(kept.get("issued_before")),
        choice=kept.get("choice", ""),
    )
