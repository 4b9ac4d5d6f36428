"""What became of a person's order, secret by secret. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator import due
from rotator.errors import clause
from rotator.model import Debt, DebtPhase, DebtReason, Phase, Policy, Rotation, locked_out
from rotator.people import Known, adopt_command, is_ours_to_revoke, stands, unproven, untold

SOON = timedelta(minutes=1)


class Coverage(StrEnum):
    """How an order stands; all but WORKING are final for the command that gave it."""

    WORKING = "working"
    ROTATED = "rotated"
    FAILED = "failed"
    WAITING = "waiting for a person"
    UNCOVERED = "not covered"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy's part of an order, with the reason or the step, for people."""

    policy: str
    state: Coverage
    why: str
    key_id: str | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state is not Coverage.WORKING


@dataclass(frozen=True, slots=True)
class Asked:
    """What was ordered, and when by the ledger's clock. ``dead`` waits until the old keys are proven dead;
    ``leaked`` are the versions that held keys which leaked, where the order is about such; ``covered_at`` is
    when all of it was covered: what came later is none of it.
    """

    at: datetime
    dead: bool
    leaked: tuple[str, ...] = ()
    covered_at: datetime | None = None
    issued_before: datetime | None = None

    def ends(self, debt: Debt) -> bool:
        """Whether a key had to die: it leaked, or was in service or in its grace when the order was given."""
        if debt.phase is DebtPhase.VOID or (debt.ended_at is not None and debt.ended_at < self.at):
            return False
        mine = self._older(debt) or self._given_up(debt)
        return debt.version in self.leaked or (mine and not self._later(debt.since))

    def replaces(self, known: Known) -> bool:
        """Whether the key in service is one that must not stay: it leaked, or is older than what may."""
        serving, issued = known.state.current, known.state.issued_at
        if self.covered_at is not None or serving is None:
            return False
        before = min(self.issued_before, self.at) if self.issued_before else None
        older = issued is not None and before is not None and issued < before
        return older or serving.version in self.leaked

    def then(self, rotations: Iterable[Rotation], debts: Iterable[Debt]) -> Rotation | None:
        """The rotation of an order that was covered, of these, the newest first; or a rollback since, if that
        undid it: a key came into service again that had to die.
        """
        promoted = [one for one in rotations if one.phase is Phase.PROMOTED and one.ended_at is not None]
        back = promoted[0].back if promoted else None
        if back is not None and any(one.id == back.debt and self._older(one) for one in debts):
            return promoted[0]
        return next((one for one in promoted if one.ended_at and not self._later(one.ended_at)), None)

    def _older(self, debt: Debt) -> bool:
        """Whether a debt's key was in service, and is no younger than the order."""
        born = debt.issued_at or debt.served
        return debt.reason.of_service and (born is None or born <= self.at)

    def _given_up(self, debt: Debt) -> bool:
        """Whether a debt's key was on its way into service, and is older than what stays."""
        before, issued = self.issued_before, debt.issued_at
        return before is not None and issued is not None and issued < before and debt.since >= self.at

    def _later(self, at: datetime) -> bool:
        """Whether something came after all of it was covered."""
        return self.covered_at is not None and at > self.covered_at


def outcome(
    policy: Policy,
    known: Known,
    rotations: Sequence[Rotation],
    debts: Sequence[Debt],
    *,
    asked: Asked,
    now: datetime,
) -> Outcome:
    """How one order stands, or stood when it was covered. ``rotations`` of the secret, the newest first, and
    ``debts``: all of its.

    Until there is a living key that comes first, whatever else there is to say.
    """
    last = next((one for one in rotations if not _ended_back(one)), None)
    if asked.covered_at is not None:
        last = asked.then(rotations, debts)
        known = _calm(known, last)
    found = _stands(policy, known, last, debts, asked=asked, now=now)
    if found.key_id is None and locked_out(known.state, known.debts):
        return replace(found, why=f"the old key is dead, and no other is in service: {found.why}")
    return found


def _ended_back(one: Rotation) -> bool:
    """Whether it is a rollback that came to nothing, which is no part of an order for a new key."""
    return one.back is not None and one.phase is Phase.FAILED


def _calm(known: Known, last: Rotation | None) -> Known:
    """What was known of a secret when its order was covered: whatever holds it now is none of that."""
    key = known.state.current
    if key is not None and last is not None:
        key = replace(key, key_id=last.attempt.key_id)
    state = replace(known.state, current=key, block=None, telling=None)
    return Known(state, debts=known.debts)


def _stands(
    policy: Policy,
    known: Known,
    last: Rotation | None,
    debts: Sequence[Debt],
    *,
    asked: Asked,
    now: datetime,
) -> Outcome:
    name = policy.name
    block = known.provider_block or known.state.block
    if block is not None:
        return Outcome(name, Coverage.WAITING, f"{block.reason} To do: {block.todo}")
    live = known.rotation or last  # read later: one may have begun meanwhile
    if live is not None and not live.phase.ended:
        return Outcome(name, Coverage.WORKING, f"{stands(replace(known, rotation=live), now)}{met(live)}")
    if "run" in known.orders:
        return _queued(policy, known, now)
    none = _none_rotated(policy, known, last, debts, asked)
    return none or _rotated(name, known, [debt for debt in debts if asked.ends(debt)], asked, now)


def met(live: Rotation) -> str:
    """What a rotation met that looks again before there is a key."""
    early = live.phase in (Phase.PLANNED, Phase.ISSUING)
    return f", looking again: {clause(live.why)}" if early and live.why else ""


def _hurried(known: Known, debts: Iterable[Debt], asked: Asked) -> bool:
    """Whether the order was about a leaked key that had been replaced before: nothing is rotated."""
    serving = known.state.current.version if known.state.current else None
    issued, before = known.state.issued_at, asked.issued_before
    if not asked.leaked and issued is not None and before is not None:
        return issued >= before
    if not asked.leaked or serving in asked.leaked:
        return False
    return any(one.version in asked.leaked and _at_once(one) for one in debts)


def _at_once(debt: Debt) -> bool:
    """Whether a debt is that of a key which leaked, or of one that was given up and dies as soon."""
    return debt.reason is DebtReason.LEAKED or (not debt.reason.of_service and debt.urgent and not debt.grace)


def _none_rotated(
    policy: Policy, known: Known, last: Rotation | None, debts: Sequence[Debt], asked: Asked
) -> Outcome | None:
    """Where no rotation of this order came to a good end: why."""
    name = policy.name
    if last is None or last.ended_at is None or last.ended_at < asked.at:
        if _hurried(known, debts, asked):
            return None
        return Outcome(name, Coverage.UNCOVERED, _not_begun(policy, known))
    if last.back is not None:
        why = (
            f"rolled back to the key before, which is in service: rotator run-now {name} --reason TEXT --yes"
        )
        return Outcome(name, Coverage.UNCOVERED, why)
    if last.phase is not Phase.FAILED:
        return Outcome(name, Coverage.UNCOVERED, _not_begun(policy, known)) if asked.replaces(known) else None
    left = "" if locked_out(known.state, known.debts) else "the old key stays: "
    todo = last.todo or f"rotator history {name}"
    why = f"{left}{clause(last.why or last.error or 'it failed')}. To do: {todo}"
    return Outcome(name, Coverage.FAILED, why)


def _not_begun(policy: Policy, known: Known) -> str:
    """Why there is no rotation of an order that waits no longer, as far as can be told."""
    if known.provider_pause is not None and policy.renew is None:
        return f"not begun: {known.provider_pause.reason} To do: once it works, give the same command again"
    return "not begun: the same command, where it is not running, begins it"


def _queued(policy: Policy, known: Known, now: datetime) -> Outcome:
    """An order that has not begun: in its turn, or held back for longer than a person waits."""
    found = due.next_rotation(policy, known.state, known.orders, now)
    if found is not None and found.at > now + SOON:
        return Outcome(policy.name, Coverage.UNCOVERED, f"held back: {found.why}")
    return Outcome(policy.name, Coverage.WORKING, "waiting for its turn")


def _rotated(name: str, known: Known, debts: Sequence[Debt], asked: Asked, now: datetime) -> Outcome:
    """A new key is in service: what became of the ``debts`` of the old ones."""
    key_id = known.state.current.key_id if known.state.current else None
    left = [debt for debt in debts if not debt.phase.ended]
    waits = _untold(name, known, key_id)
    if waits is not None:
        return waits
    if _tokens(left) and asked.dead and not any(debt.block for debt in left):
        return Outcome(name, Coverage.UNCOVERED, f"renewed, but {_old_tokens(left)}", key_id)
    for debt in left:
        if unproven(debt):
            todo = adopt_command(name, debt.key_id)
            return Outcome(name, Coverage.WAITING, f"rotated, but the old key lives on until: {todo}", key_id)
        if debt.block is not None:
            why = f"rotated, but key {debt.key_id} lives: {debt.block.reason} To do: {debt.block.todo}"
            return Outcome(name, Coverage.WAITING, why, key_id)
    if left and asked.dead:
        return Outcome(name, Coverage.WORKING, f"new key in service, {_dying(left[0], now)}", key_id)
    return Outcome(name, Coverage.ROTATED, _old_keys(debts, left, now), key_id)


def _dying(debt: Debt, now: datetime) -> str:
    """Who revokes an old key, and what was met; or that another order lets it live."""
    if debt.not_before is not None and debt.not_before > now:
        return f"{debt.key_id} lives until {debt.not_before:%Y-%m-%d %H:%M}Z, as another order says"
    again = f", looking again: {clause(debt.why)}" if debt.why else ""
    if is_ours_to_revoke(debt.policy):
        return f"revoking {debt.key_id}{again}"
    return f"a person revokes {debt.key_id}{again}"


def _untold(name: str, known: Known, key_id: str | None) -> Outcome | None:
    """A new key is in service, and consumers were not told of it: what that waits for."""
    waiting = untold(known.state)
    for one in waiting:
        if one.block is not None:
            why = f"rotated, but {one.block.reason} To do: {one.block.todo}"
            return Outcome(name, Coverage.WAITING, why, key_id)
    if not waiting:
        return None
    names = ", ".join(one.consumer.name for one in waiting)
    owed = any(debt.reason.of_service for debt in known.debts)
    first = "; until then no old key dies" if owed and any(one.holds for one in waiting) else ""
    return Outcome(name, Coverage.WORKING, f"new key in service, telling {names}{first}", key_id)


def _old_keys(debts: Sequence[Debt], left: Sequence[Debt], now: datetime) -> str:
    """What the keys that had to die wait for, those that are ``left`` of them, or how they ended."""
    if _tokens(left):
        return _old_tokens(left)
    if left:
        until = max((debt.not_before for debt in left if debt.not_before), default=None)
        if until is None:
            return "grace begins once every replica shows it"
        return _grace(until, now, by_person=not all(is_ours_to_revoke(debt.policy) for debt in left))
    if not debts:
        return "no old key is left to end"
    proven = all(debt.phase is DebtPhase.DEAD for debt in debts)
    return f"old key {debts[-1].key_id} {'proven dead' if proven else 'declared dead, not proven'}"


def _tokens(left: Sequence[Debt]) -> bool:
    """Whether what was replaced is a token."""
    return bool(left) and all(debt.policy.renew is not None for debt in left)


def _old_tokens(left: Sequence[Debt]) -> str:
    """What becomes of tokens that were replaced: nothing revokes them."""
    until = max((debt.expires_at for debt in left if debt.expires_at), default=None)
    when = "" if until is None else f", at {until:%Y-%m-%d %H:%M}Z"
    return f"the old token lives until it expires{when}"


def _grace(until: datetime, now: datetime, *, by_person: bool) -> str:
    if until <= now:
        whose = "a person revokes the old one" if by_person else "the old key is being revoked"
        return f"grace is over: {whose}"
    return f"grace: the old key lives until {until:%Y-%m-%d %H:%M}Z"
