"""What came of an incident, secret by secret, from the ledger's records. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.audit.certificates import Certificate
from rotator.incident.coverage import Coverage, Outcome
from rotator.incident.record import Incident
from rotator.model import Debt, Phase, Policy, Rotation


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger holds of one secret of an incident: its rotations and debts, ended ones too."""

    policy: Policy
    outcome: Outcome
    rotations: Sequence[Rotation] = ()
    debts: Sequence[Debt] = ()
    certificates: Sequence[Certificate] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One secret. ``began_at`` is of its newest rotation, ``missed_at`` when that ended without a new key;
    ``contained_at`` is when the last of its old keys was dead, None while one may live; ``contained_after``
    the time to that since the incident began; ``dies_at`` when the grace of one ends.
    """

    policy: str
    owner: str | None
    provider: str
    store: str
    secret: str
    coverage: Coverage
    why: str
    old_keys: tuple[str, ...]
    new_key: str | None
    began_at: datetime | None
    in_use_at: datetime | None
    contained_at: datetime | None
    contained_after: timedelta | None
    dies_at: datetime | None
    certificates: tuple[Certificate, ...]
    missed_at: datetime | None = None

    @property
    def covered(self) -> bool:
        """Whether all that was asked for this secret is done."""
        return self.coverage is Coverage.ROTATED

    @property
    def over(self) -> bool:
        """Whether nothing of it goes on: it was missed, or its new key is in use and no old one lives."""
        alive = bool(self.old_keys) and self.contained_at is None
        return self.missed_at is not None or (self.in_use_at is not None and not alive)


@dataclass(frozen=True, slots=True)
class Report:
    """An incident as it stands at ``now``. ``counts`` by coverage; ``contained``: without a live old key."""

    incident: Incident
    now: datetime
    lines: tuple[Line, ...]
    counts: Mapping[str, int]
    contained: int
    longest: timedelta | None

    @property
    def covered(self) -> bool:
        """Whether everything that was asked for is covered."""
        return self.rotated and not self.incident.besides

    @property
    def rotated(self) -> bool:
        """Whether every secret is covered."""
        return all(line.covered for line in self.lines)


def report(incident: Incident, found: Sequence[Found], now: datetime) -> Report:
    """The report of an incident, in the order of ``found``."""
    lines = tuple(_line(incident, one) for one in found)
    counts = Counter(str(line.coverage) for line in lines)
    times = [line.contained_after for line in lines if line.contained_after is not None]
    return Report(incident, now, lines, dict(counts), len(times), max(times, default=None))


def with_missing(told: Report, secrets: Sequence[str]) -> Report:
    """The report with those that no policy names any more and of which nothing was begun: not covered."""
    why = "no policy names it any more, and nothing was begun: put the policy back, and give the order again"
    lines = tuple(_missing(secret, why) for secret in secrets)
    counts = Counter(told.counts) + Counter(str(line.coverage) for line in lines)
    return replace(told, lines=(*told.lines, *lines), counts=dict(counts))


def _missing(secret: str, why: str) -> Line:
    return Line(
        policy="-", owner=None, provider="-", store="-", secret=secret, coverage=Coverage.UNCOVERED, why=why,
        old_keys=(), new_key=None, began_at=None, in_use_at=None, contained_at=None, contained_after=None,
        dies_at=None, certificates=(),
    )  # fmt: skip


def _line(incident: Incident, found: Found) -> Line:
    policy, outcome = found.policy, found.outcome
    rotation = _rotation(incident, found.rotations)
    began = rotation or _begun(incident, found.rotations)
    asked = incident.asks(policy.target.id)
    debts = [debt for debt in found.debts if asked.ends(debt)]
    contained_at = _contained_at(debts) if rotation is not None or debts else None
    ids = {debt.id for debt in debts}
    return Line(
        policy=policy.name,
        owner=policy.owner,
        provider=policy.provider.name,
        store=policy.target.store.name,
        secret=policy.target.secret,
        coverage=outcome.state,
        why=outcome.why,
        old_keys=tuple(debt.key_id or "of unknown id" for debt in debts),
        new_key=outcome.key_id,
        began_at=began.began_at if began else None,
        in_use_at=rotation.ended_at if rotation else None,
        missed_at=began.ended_at if began and not rotation else None,
        contained_at=contained_at,
        contained_after=max(contained_at - incident.at, timedelta(0)) if contained_at else None,
        dies_at=max(
            (debt.not_before for debt in debts if debt.not_before and not debt.phase.ended), default=None
        ),
        certificates=tuple(one for one in found.certificates if one.debt in ids),
    )


def _rotation(incident: Incident, rotations: Sequence[Rotation]) -> Rotation | None:
    """The one that brought a new key into service since the incident began; newest first."""
    return next(
        (
            one
            for one in rotations
            if one.phase is Phase.PROMOTED
            and one.back is None
            and one.ended_at is not None
            and incident.at <= one.ended_at <= (incident.rotated_at or one.ended_at)
        ),
        None,
    )


def _begun(incident: Incident, rotations: Sequence[Rotation]) -> Rotation | None:
    """The newest one of this incident that brought no new key, or has not yet."""
    until = incident.rotated_at
    mine = (one for one in rotations if one.back is None and not one.drill)
    mine = (one for one in mine if until is None or one.began_at <= until)
    return next((one for one in mine if one.ended_at is None or one.ended_at >= incident.at), None)


def _contained_at(debts: Sequence[Debt]) -> datetime | None:
    """When the last old key was dead; None while one lives, or where none is known to have died."""
    ends = [debt.ended_at for debt in debts]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None
