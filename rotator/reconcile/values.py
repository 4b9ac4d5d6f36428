"""What a comparison takes and tells: the world as it was read, the ledger's records, findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.interfaces import Look
from rotator.model import Debt, KeyRecord, Policy, ProviderRef, Rotation, SecretState
from rotator.safe_mode import SafeMode


class Kind(StrEnum):
    """What is not as the ledger says, or cannot be told."""

    BEHIND = "ledger-behind"  # the ledger is older than the world
    ORPHAN = "orphan"  # a live key under our label that no record needs
    DRIFT = "drift"  # the secret holds another key than was promoted
    KEY_GONE = "key-gone"  # the key in use is not listed as live
    UNDYING = "will-not-die"  # a revoke was sent long ago, or should have been
    WAITS = "waits-for-a-person"  # a debt that a person holds up
    OVERDUE = "overdue"  # older than the policy allows
    MARKED = "marked-deleted"  # the policy is here, and a worker without it marked it as deleted
    LEFT = "left-behind"  # the policy was deleted, and its key lives
    SLOT = "slot"  # reserved for a key that is gone, or never came
    UNREAD = "not-compared"  # a provider or a store that did not answer
    FOREIGN = "foreign"  # carries the label of another ledger
    NOBODYS = "nobodys"  # carries no label, and no record names it
    UNLISTED = "cannot-be-listed"  # the provider lists no keys


NOTES = frozenset({Kind.FOREIGN, Kind.NOBODYS, Kind.UNLISTED})  # said, but nobody must act
FIXABLE = frozenset({Kind.ORPHAN, Kind.SLOT})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: about what, a sentence, what to do. Never holds a secret's value."""

    kind: Kind
    subject: str
    text: str
    todo: str = ""
    secret: str | None = None  # under whose claim it can be mended, or who is told
    key_id: str | None = None
    token: str | None = None

    @property
    def needs_somebody(self) -> bool:
        """Whether it stays until somebody acts."""
        return self.kind not in NOTES


@dataclass(frozen=True, slots=True)
class Listing:
    """What a provider listed of one principal at ``at``; ``error`` says why it did not."""

    provider: ProviderRef
    at: datetime
    keys: tuple[KeyRecord, ...] = ()
    lists: bool = True
    visible: timedelta = timedelta(0)  # how long a new key may take to be listed
    error: str = ""
    todo: str = ""

    @property
    def told(self) -> bool:
        """Whether the list can be compared with."""
        return self.lists and not self.error


@dataclass(frozen=True, slots=True)
class Holding:
    """What a secret holds: its versions, and the key of the current one as far as its id can be told."""

    policy: Policy
    at: datetime
    look: Look | None = None
    key_id: str | None = None
    empty: bool = False  # the secret holds no key
    as_known: bool = False  # the current version holds what the ledger promoted, or found
    error: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Records:
    """What the ledger says, read after the world: a token that was seen outside is in it."""

    ledger_id: str
    now: datetime
    states: Mapping[str, SecretState]  # by secret
    rotations: Mapping[str, Rotation]  # live ones, by secret
    debts: tuple[Debt, ...]  # open ones
    drawn: Mapping[str, tuple[str, str]]  # the tokens that were seen outside: secret and rotation
    slots: Mapping[str, str | None] = field(default_factory=dict)  # token to key id
    safe_mode: SafeMode | None = None
    killed: Mapping[str, str] = field(
        default_factory=dict
    )  # keys in secrets that we revoked: for which policy


@dataclass(frozen=True, slots=True)
class View:
    """The world and the ledger, side by side."""

    listings: tuple[Listing, ...]
    holdings: tuple[Holding, ...]
    records: Records
