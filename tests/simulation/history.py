"""What happened in a simulated run, as the fakes outside saw it: plain values that a checker reads later."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Did(StrEnum):
    """What kind of thing a line of the history tells."""

    SENT = "sent"  # a worker asked a provider or a store for something
    APPLIED = "applied"  # it took effect there; maybe much later
    ANSWERED = "answered"  # the worker heard of it; ``error`` in data where it failed
    LEDGER = "ledger"  # a call of the ledger that ended; ``error`` where it failed
    TRUTH = "truth"  # a key was born or died, a version became current: whoever did it
    PROCESS = "process"  # a worker began, was told to stop, or is gone
    OUTSIDE = "outside"  # somebody else did something
    CLOCK = "clock"  # the ledger's clock was set


@dataclass(frozen=True, slots=True)
class Act:
    """One line. ``at`` is the true time, ``ledger_at`` what the ledger's clock said; ``by`` is a worker's
    name, or ``outside``; ``effect`` numbers an effect, so that sent, applied and answered belong together.
    """

    seq: int
    at: datetime
    ledger_at: datetime
    by: str
    did: Did
    name: str
    secret: str | None = None
    effect: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        facts = " ".join(f"{name}={value}" for name, value in self.data.items() if value is not None)
        number = f"#{self.effect}" if self.effect is not None else ""
        return f"{self.seq:5} {self.at:%d %H:%M:%S} {self.by:9} {self.did:8} {self.name}{number} {facts}"


class History:
    """The lines, oldest first."""

    def __init__(self) -> None:
        self.acts: list[Act] = []

    def __iter__(self) -> Iterator[Act]:
        return iter(self.acts)

    def __len__(self) -> int:
        return len(self.acts)

    def told(self) -> str:
        """All of it, for people and for comparing."""
        return "\n".join(map(str, self.acts))
