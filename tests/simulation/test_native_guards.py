"""The guards of Secrets Manager's own rotation, taken away one by one as those of ours are."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator import due, looking, native, promotion, setbacks
from rotator.desk import Desk, Held
from rotator.interfaces import Look
from rotator.model import Phase, Policy, Rotation
from rotator.native import Answer, Step
from tests.simulation.native import NativeSim
from tests.simulation.sim import SECRET, TARGET, Sim, Violation
from tests.simulation.test_clock_ahead import stepped_by_a_wrong_clock
from tests.simulation.test_guards import Guard, Patch, gone, nothing, noticed

# --- scenarios --------------------------------------------------------------------------------------------


def begun(folder: Path) -> NativeSim:
    """A rotation that Secrets Manager began."""
    sim = NativeSim(folder)
    sim.rotate()
    return sim


def unnamed(folder: Path) -> None:
    """Somebody who may call the function names a version himself."""
    sim = begun(folder)
    sim.token = "11111111-1111-4111-8111-111111111111"
    sim.all_steps()
    if "provider.issue" in sim.calls:
        raise Violation("a key was issued for a version that Secrets Manager never named")


def begun_anew(folder: Path) -> None:
    """A key is tested; then Secrets Manager begins another rotation, under another token."""
    sim = begun(folder)
    first = sim.token
    sim.invoke(Step.CREATE)
    sim.invoke(Step.TEST)
    sim.rotate_anew()
    sim.all_steps()
    sim.passes()
    if sim.store.secrets[SECRET].current == first:
        raise Violation("the version of another token was promoted")


def beyond(step: Step, furthest: Phase) -> Any:
    """As far as a step, with passes for a minute after it."""

    def scenario(folder: Path) -> None:
        sim = begun(folder)
        for one in (Step.CREATE, step):
            sim.invoke(one)
        worker = sim.start()
        for _ in range(20):
            sim.clock.advance(timedelta(seconds=3))
            for secret in sim.ledger.due(1):
                worker.work(secret)
        live = sim.ledger.rotation(TARGET.id)
        if live is None or live.phase is not furthest:
            raise Violation(f"{step} was asked for last, and it went on to {live and live.phase}")

    return scenario


def ordered(folder: Path) -> None:
    """An order of ours for a secret that Secrets Manager rotates."""
    sim: Sim = NativeSim(folder)
    sim.order()
    assert isinstance(sim, NativeSim)
    sim.passes()
    if "provider.issue" in sim.calls:
        raise Violation("a pass began a rotation that Secrets Manager did not ask for")


# --- guards -----------------------------------------------------------------------------------------------


class Everything(tuple[str, ...]):
    """Versions of which each is one."""

    __slots__ = ()

    def __contains__(self, _: object) -> bool:
        return True


def any_name(patch: Patch) -> None:
    """Take every token for one that Secrets Manager named."""
    versions_of = looking.versions_of

    def generous(desk: Desk, policy: Policy) -> Look:
        seen = versions_of(desk, policy)
        return Look(seen.current, seen.previous, Everything(seen.versions), seen.replicated)

    patch.setattr(native, "versions_of", generous)


def any_token(patch: Patch) -> None:
    """Go on with whatever rotation there is."""
    taken = native._taken

    def blind(desk: Desk, policy: Policy, step: Step, token: str) -> Answer:
        live = desk.rotation()
        return taken(desk, policy, step, live.attempt.push if live else token)

    patch.setattr(native, "_taken", blind)


def promoted_unasked(patch: Patch) -> None:
    """Promote what is verified, whoever asked for what."""

    def held(desk: Desk, rotation: Rotation) -> Held | None:
        return desk.held(rotation.policy, urgent=rotation.urgent, admin=False)

    gone(setbacks, "unasked", lambda *_: None)(patch)
    patch.setattr(promotion, "promote_held", held)


def every_reason(patch: Patch) -> None:
    """Let our own reasons count for every secret."""
    patch.setattr(
        due, "_rotation", lambda case: next((found for why in due._REASONS if (found := why(case))), None)
    )


def _played(_: object) -> None:
    """The simulation itself has judged it."""


NATIVE_GUARDS = [
    Guard("4 a version is Secrets Manager's to name", any_name, unnamed),
    Guard("4 what another token began gives way", any_token, begun_anew),
    Guard(
        "5 a step puts right what a wrong clock wrote",
        gone(native, "put_right", nothing),
        lambda folder: _played(stepped_by_a_wrong_clock(folder)),
    ),
    Guard(
        "6 a step goes no further than Secrets Manager asked",
        gone(setbacks, "unasked", lambda *_: None),
        beyond(Step.SET, Phase.STAGED),
    ),
    Guard("6 finishSecret alone promotes", promoted_unasked, beyond(Step.TEST, Phase.VERIFIED)),
    Guard("15 a secret has one schedule", every_reason, ordered),
]


@pytest.mark.parametrize("guard", NATIVE_GUARDS, ids=lambda guard: guard.rule)
def test_a_guard_of_native_rotation_taken_away_is_noticed(
    guard: Guard, tmp_path: Path, monkeypatch: Patch
) -> None:
    """Green with the guard, red without it."""
    noticed(guard, tmp_path, monkeypatch)
