"""Whether the workers of one ledger work by the same policies, and what is mended where they do not.

A worker whose files lack a policy cannot know that others have it: it marks the secret as deleted, and plans
nothing more for it. So every worker looks now and then whether what its own files hold was marked, or worked
by another text, and takes that up again. It never looks for what others have and it lacks: of two workers
with unlike files one restores and the other does not fight back.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from rotator import backoff, stamps
from rotator.interfaces import Ledger
from rotator.model import Event, Level, SecretState
from rotator.records import Codec

CHECK = timedelta(minutes=5)  # a look reads every secret: rarely enough to cost an idle worker nothing
_LONGEST = timedelta(hours=1)  # between two claims of one text against another, which others may answer
_DUE = timedelta(minutes=1)  # what is due by then is looked at anyway: it may wait for its turn
_FEW = 3  # names in a sentence
TOLD = "policies:unlike"  # the fact: when people were told last

log = logging.getLogger("rotator.pass")


class Likeness:
    """What one worker sees of others' policies. ``digests`` are of its own policies, by secret."""

    def __init__(self, digests: Mapping[str, str], now: datetime) -> None:
        self._digests = digests
        self._look_at = now + CHECK
        self._claim_at = now
        self._pause = CHECK
        self._unlike = False

    def mend(self, ledger: Ledger) -> Event | None:
        """Make due what another worker marked as deleted, or worked by another text; what people are to hear.

        So is what a clock wrote that was ahead and was put right: what it waits for is far. Reads nothing but
        every five minutes. Raises LedgerUnusable.
        """
        now = ledger.now()
        set_back = backoff.is_ahead(self._look_at, now, CHECK)
        if now < self._look_at and not set_back:
            return None
        self._look_at, self._claim_at = now + CHECK, min(self._claim_at, now + self._pause)
        waiting = [state for state, at in ledger.secrets() if at is None or at > now + _DUE]
        ledger.nudge(state.id for state in waiting if set_back or stamps.is_off(state, now))
        unlike = [
            state
            for state in waiting
            if state.id in self._digests and (state.gone or state.digest != self._digests[state.id])
        ]
        marked = [state for state in unlike if state.gone]
        ledger.nudge(
            state.id for state in (unlike if self._may_claim(len(unlike) > len(marked), now) else marked)
        )
        lasting, self._unlike = bool(marked) or (bool(unlike) and self._unlike), bool(unlike)
        return _alarm(unlike, marked) if lasting and must_be_told(ledger, now) else None

    def _may_claim(self, texts_differ: bool, now: datetime) -> bool:
        """Whether this worker's text is to count again: two that differ answer each other ever later."""
        if not texts_differ:
            self._pause = CHECK
            return False
        if now < self._claim_at:
            return False
        self._claim_at, self._pause = now + self._pause, min(self._pause * 2, _LONGEST)
        return True


@dataclass(frozen=True, slots=True)
class ToldAt:
    """When people were told last."""

    at: datetime


_AT = Codec("told policies", TypeAdapter(ToldAt))


def must_be_told(ledger: Ledger, now: datetime) -> bool:
    """Whether it is for this worker to tell people: one of all does, once in a day."""
    before = ledger.fact(TOLD)
    if before is not None and not backoff.passed(_AT.decode(before).at, backoff.until_reminder(1), now):
        return False
    return ledger.swap(TOLD, before, _AT.encode(ToldAt(now)))


def _alarm(unlike: list[SecretState], marked: list[SecretState]) -> Event:
    """What people hear: which policies, and what to do."""
    worst = marked or unlike
    names = ", ".join(sorted(state.policy for state in worst)[:_FEW])
    more = f" and {len(worst) - _FEW} more" if len(worst) > _FEW else ""
    did = "marked it as deleted" if marked else "works it by another text"
    text = (
        f"Workers of this ledger have unlike policies: another worker {did}: {names}{more}. This worker "
        "takes it up again, each time. To do: give every worker, and every rotator tick, the same policy "
        "files; during a deployment it ends by itself"
    )
    log.warning(text)
    data = {"step": "policies", "error": "unlike-policies"}
    return Event(secret="", kind="unlike-policies", text=text, level=Level.ALARM, data=data)
