"""What must not be believed: a version that somebody wrote over, a debt that somebody wrote, a late list."""

from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

from rotator.errors import Unknown
from rotator.model import Issued, Phase, Probe, Provenance, Verdict, Window, token_for
from tests.simulation.sim import POLICY, SECRET, TARGET, Crash, Sim
from tests.simulation.test_guards import owed_by_mistake
from tests.simulation.test_stories import alarms, bend, kinds, live, ours, until


def test_a_pending_version_that_was_written_over_is_never_promoted(tmp_path: Path) -> None:
    """Killed before it was read back, and another working key is there: given up, told, our own key dies."""
    sim = Sim(tmp_path)
    stage = sim.store.stage

    def tampered(target: object, credential: object, push: str, onto: object) -> None:
        bend(sim.store, "stage", stage)
        sim.store.put(
            SECRET,
            push,
            {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret, "note": "theirs"},
            current=False,
        )
        sim.crashed = True
        raise Crash

    bend(sim.store, "stage", tampered)
    sim.order()
    for _ in range(40):
        try:
            until(sim, lambda: "failed" in kinds(sim))
        except Crash:
            sim.clock.advance(timedelta(seconds=95))
        else:
            break
    assert "failed" in alarms(sim)
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id
    until(sim, lambda: not sim.ledger.debts())
    assert ours(sim) == []
    assert sim.old.live


def test_a_key_under_another_ledgers_label_is_not_revoked(tmp_path: Path) -> None:
    """Whatever a debt says: it is another rotator's."""
    sim = Sim(tmp_path)
    theirs = sim.provider.add(f"other {token_for('0' * 8, '1' * 32)}")
    owed_by_mistake(lambda _: theirs.key_id, Provenance.ISSUED)(sim)
    worker = sim.start()
    for _ in range(20):
        for secret in sim.ledger.due(1):
            worker.work(secret)
        sim._wait()
    assert sim.calls.count("provider.revoke") == 0
    assert theirs.live


def test_the_candidate_of_a_live_rotation_is_not_revoked(tmp_path: Path) -> None:
    """Whatever a debt says: it is about to come into service."""
    sim = Sim(tmp_path)
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    rotation = sim.ledger.rotation(TARGET.id)
    assert rotation is not None
    candidate = rotation.attempt.key_id
    assert candidate is not None
    owed_by_mistake(lambda _: candidate, Provenance.ISSUED)(sim)
    until(sim, lambda: "promoted" in kinds(sim))
    assert candidate not in sim.provider.revoked
    assert sim.store.value(SECRET)["key_id"] == candidate


def test_a_list_that_is_late_is_waited_for(tmp_path: Path) -> None:
    """An answer was lost, and the key is listed only after the declared delay: it is found, and it dies."""
    sim = Sim(tmp_path)
    sim.provider.traits = replace(sim.provider.traits, visibility_delay=timedelta(seconds=30))  # type: ignore[misc]
    issue, find = sim.provider.issue, sim.provider.find
    before = set(sim.provider.keys)
    lost = iter([True])

    def lossy(label: str, wanted: dict[str, object]) -> Issued:
        issued = issue(label, wanted)
        if next(lost, False):
            raise Unknown("timeout", "no answer")
        return issued

    def lagging() -> object:
        delay = sim.provider.traits.visibility_delay
        since = sim.clock.now() - delay
        return [one for one in find() if one.key_id in before or (one.created_at or since) <= since]

    bend(sim.provider, "issue", lossy)
    bend(sim.provider, "find", lagging)
    sim.order()
    until(sim, lambda: "given-up" in kinds(sim))
    assert [debt.reason for debt in sim.ledger.debts()] == ["stray"]


def test_a_key_whose_probe_tells_wider_rights_never_becomes_current(tmp_path: Path) -> None:
    """The answer to issue said nothing of them."""
    sim = Sim(tmp_path, policy=replace(POLICY, key={"scopes": ["read"]}))
    probe, issue = sim.provider.probe, sim.provider.issue
    bend(sim.provider, "issue", lambda label, wanted: replace(issue(label, {}), granted={}))
    bend(sim.provider, "probe", lambda c: replace(probe(c), granted={"scopes": ["read", "trade"]}))
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    assert "store.promote" not in sim.calls


def test_a_negative_control_without_an_answer_proves_nothing(tmp_path: Path) -> None:
    """The corrupted key must be refused: silence about it is no refusal."""
    sim = Sim(tmp_path)
    probe = sim.provider.probe

    def silent(credential: object) -> Probe:
        found = probe(credential)  # type: ignore[arg-type]
        return found if found.verdict is Verdict.LIVE else Probe(Verdict.UNKNOWN, "no answer")

    bend(sim.provider, "probe", silent)
    sim.order()
    until(sim, lambda: "given-up" in kinds(sim))
    assert "store.promote" not in sim.calls


def test_a_window_that_closes_meanwhile_holds_the_promotion(tmp_path: Path) -> None:
    """A key that is verified after its window is promoted when the next one opens."""
    window = Window((0, 1, 2, 3, 4, 5, 6), time(2), time(4))
    sim = Sim(tmp_path, policy=replace(POLICY, windows=(window,)))
    sim.clock.advance(timedelta(days=40))
    until(sim, lambda: live(sim) is Phase.STAGED)
    while sim.clock.now().hour in (2, 3):
        sim.clock.advance(timedelta(minutes=10))
    hours: list[int] = []
    sim.outside = lambda s, name: hours.append(s.clock.now().hour) if name == "store.promote" else None
    until(sim, lambda: "promoted" in kinds(sim))
    assert set(hours) <= {2, 3}
