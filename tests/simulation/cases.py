"""A history with its index: what a rule asks of it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.history import Act, Did

if TYPE_CHECKING:
    from tests.simulation.engine import Setup

EFFECT = timedelta(seconds=25)
ENDED = ("promoted", "failed", "drilled")  # phases of rotations that are over


@dataclass
class Key:
    """What became of one key."""

    provider: str
    label: str
    ours: bool
    born: Act
    died: Act | None = None


@dataclass
class Case:
    """A history with its index."""

    acts: Sequence[Act]
    setup: "Setup"
    keys: dict[str, Key] = field(default_factory=dict)
    sent: dict[int, Act] = field(default_factory=dict)
    applied: dict[int, list[Act]] = field(default_factory=lambda: defaultdict(list))
    answered: dict[int, Act] = field(default_factory=dict)
    contained: set[int] = field(default_factory=set)  # revokes of what a secret holds, as a person ordered

    def __post_init__(self) -> None:
        for act in self.acts:
            if act.did is Did.TRUTH and act.name == "born":
                label = str(act.data["label"])
                ours = act.by != "outside"
                self.keys[act.data["key"]] = Key(act.data["provider"], label, ours, act)
            elif act.did is Did.TRUTH and act.name == "died":
                self.keys[act.data["key"]].died = act
            elif act.effect is not None and act.did is Did.SENT:
                self.sent[act.effect] = act
            elif act.effect is not None and act.did is Did.APPLIED:
                self.applied[act.effect].append(act)
            elif act.effect is not None and act.did is Did.ANSWERED:
                self.answered[act.effect] = act
        self.contained = _contained(self.acts)

    def sends(self, name: str) -> Iterator[Act]:
        """Every time that this effect was asked for."""
        return (act for act in self.sent.values() if act.name == name)

    def commits(self, secret: str | None = None) -> Iterator[Act]:
        """Every commit that was written."""
        return (
            act
            for act in self.acts
            if act.did is Did.LEDGER
            and act.name == "commit"
            and "error" not in act.data
            and secret in (None, act.secret)
        )

    def token(self, key_id: str) -> str:
        """The attempt that a key's label names."""
        return self.keys[key_id].label.rpartition(" ")[2]

    def made_for(self) -> dict[str, str]:
        """By the token of each attempt the secret that it was made for."""
        return {act.data["token"]: act.secret for act in self.commits() if "token" in act.data and act.secret}

    def put_back(self, promoted: Act, replaced: Act) -> bool:
        """Whether a promote landed only since somebody had put back, after it was sent, what it replaces."""
        sent = self.sent.get(promoted.effect or 0)
        return sent is not None and replaced.by == "outside" and replaced.seq > sent.seq

    def claim_of(self, effect: Act) -> Act | None:
        """The claim under which an effect was sent."""
        claims = (
            act
            for act in self.acts[: effect.seq]
            if act.did is Did.LEDGER
            and (act.name, act.by, act.secret) == ("claim", effect.by, effect.secret)
            and "error" not in act.data
        )
        return max(claims, key=lambda act: act.seq, default=None)


def _contained(acts: Sequence[Act]) -> set[int]:
    """The revokes, by effect, of a key that its secret holds and a person ordered to die first.

    Each order is for one key, the first one that is revoked so; and only until a worker made another current.
    What somebody else takes out of the secret in the moment before the revoke was in it by the last read.
    """
    holds: dict[str, str | None] = {}
    taken: dict[str, str | None] = {}
    orders: dict[str, int] = defaultdict(int)
    chosen: dict[str, str] = {}
    found: set[int] = set()
    for act in acts:
        secret = act.secret or ""
        if act.did is Did.TRUTH and act.name == "current":
            taken[secret] = holds.get(secret) if act.by == "outside" else None
            holds[secret] = act.data["key"]
            if act.by != "outside":
                chosen.pop(secret, None)
        elif act.did is Did.OUTSIDE and act.name == "run-now" and act.data.get("contain"):
            orders[secret] += 1
        elif act.did is Did.SENT and act.name == "provider.revoke":
            if act.data["key"] not in (holds.get(secret), taken.get(secret)):
                continue
            if chosen.get(secret) != act.data["key"] and orders[secret]:
                orders[secret] -= 1
                chosen[secret] = act.data["key"]
            if chosen.get(secret) == act.data["key"]:
                found.add(act.effect or 0)
    return found
