"""Death certificates: of each key that had to die, when it was issued, used, revoked, and proven dead.

Pure: what the ledger recorded goes in, certificates come out.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rotator.model import Event


class Death(StrEnum):
    """How it is known that a key is dead."""

    PROVEN = "proven"  # refused, or gone from the provider's list, after it had worked
    EXPIRED = "expired"  # a token that outlived its time; nobody revoked it
    DECLARED = "declared"  # a person said so; never proven


@dataclass(frozen=True, slots=True)
class Certificate:
    """One key that had to die. None stands for what rotator did not do or see; ``died_at`` None: it may live.

    ``why`` is why it had to die, ``proof`` how its death is known, in words; ``record`` is the number of the
    last step in the ledger's history, by which it is found there.
    """

    secret: str
    debt: str
    policy: str
    key_id: str | None
    why: str
    owed_at: datetime | None
    issued_at: datetime | None = None
    current_at: datetime | None = None
    revoked_at: datetime | None = None  # the first revoke that was sent
    died_at: datetime | None = None  # when its death was proven, or declared
    death: Death | None = None
    proof: str | None = None
    declared_by: str | None = None
    record: int = 0


@dataclass(slots=True)
class _Life:
    """One credential that came under an id; several may bear one, such as a user's address.

    ``owed``: a debt is its.
    """

    rotation: str | None
    issued_at: datetime | None = None
    current_at: datetime | None = None
    owed: bool = False


def certificates(events: Iterable[Event]) -> list[Certificate]:
    """A certificate for each key that had to die, in the order of what is told; ``events`` oldest first."""
    lives = defaultdict[tuple[str, str], list[_Life]](list)
    found: dict[str, Certificate] = {}
    for event in events:
        borne = lives[event.secret, event.data.get("key_id", "")]
        if event.kind in ("issued", "submitted"):
            borne.append(_Life(event.rotation, issued_at=event.at))
        elif event.kind == "promoted":
            _promoted(borne, event)
        elif event.debt is not None:
            known = found.get(event.debt) or _begun(event, event.debt, borne)
            found[event.debt] = _told(known, event)
    return list(found.values())


def _promoted(borne: list[_Life], event: Event) -> None:
    """Note when the credential of a rotation came into service."""
    if not borne or borne[-1].rotation != event.rotation:
        borne.append(_Life(event.rotation))
    borne[-1].current_at = event.at


def _owed(borne: Iterable[_Life], at: datetime | None) -> _Life:
    """Which of those that bore an id is owed at a time: the one before that which was promoted by the same
    commit, else the last; each is owed once.
    """
    left = [life for life in borne if not life.owed]
    if at is not None and any(life.current_at == at for life in left):
        left = [life for life in left if life.current_at not in (None, at)]
    chosen = left[-1] if left else _Life(None)
    chosen.owed = True
    return chosen


def _begun(event: Event, debt: str, borne: Iterable[_Life]) -> Certificate:
    """A certificate from the first thing that was told of a debt: what the key did before stands then."""
    life, policy = _owed(borne, event.at), event.data.get("policy", "")
    owed_at = event.at if event.kind == "owed" else None
    return Certificate(event.secret, debt, policy, None, event.text, owed_at, life.issued_at, life.current_at)


def _told(known: Certificate, event: Event) -> Certificate:
    """A certificate with what one more event says."""
    data = event.data
    known = replace(known, key_id=_key_id(event) or known.key_id, record=event.seq)
    match event.kind:
        case "revoked":
            return replace(known, revoked_at=known.revoked_at or event.at)
        case "dead":
            proof = data.get("proof") or event.text  # records of older versions have it in words alone
            death = Death.EXPIRED if proof.startswith("expired at") else Death.PROVEN
            return replace(known, died_at=event.at, death=death, proof=proof)
        case "settled":
            by = data.get("by")
            return replace(known, died_at=event.at, death=Death.DECLARED, proof=event.text, declared_by=by)
        case _:
            return known


def _key_id(event: Event) -> str | None:
    key_id = event.data.get("key_id")
    return None if key_id == "of unknown id" else key_id
