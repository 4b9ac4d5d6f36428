"""Runs from beginning to end: some faults, then none, then what is left."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from tests.simulation.checker import judged
from tests.simulation.engine import Place, Setup, Sim
from tests.simulation.history import Did
from tests.simulation.outcomes import CALM, Outcome, Strikes, possible
from tests.simulation.outside import NOTHING

LANDS = (timedelta(seconds=5), timedelta(minutes=3), timedelta(minutes=70), timedelta(days=2))
_GRACEFUL = Setup((Place("one", grace=timedelta(hours=48)),))  # nothing is due for long in its grace
_MOST = 60_000  # lines of a history, which is more than a run can need


Strike = tuple[int, Outcome]


def singles(after: int = 0, calls: list[str] | None = None) -> Iterator[Strike]:
    """Every fault at every call of a rotation, later than ``after``; or at these calls."""
    for nth, call in enumerate(calls or storm_calls({}), 1):
        if nth > after:
            yield from ((nth, outcome) for outcome in possible(call))


def landings(*strikes: Strike) -> tuple[timedelta, ...]:
    """The moments at which what comes late may land; one where nothing comes late."""
    return LANDS if any(outcome is Outcome.LATE for _, outcome in strikes) else LANDS[1:2]


def pairs(first: Strike) -> Iterator[tuple[Strike, Strike]]:
    """A strike with every later one: at the calls that the run makes once it was struck."""
    calls = storm_calls({first[0]: first[1]})
    return ((first, second) for second in singles(first[0], calls))


def struck(
    at: dict[int, Outcome], lands: timedelta = timedelta(minutes=3), *, contain: bool = False
) -> tuple[Sim, list[str]]:
    """One rotation, from an order to the old key's death, struck at these calls; then another without
    faults. The run, and what the checker says of it. With ``contain`` the old key dies first.
    """
    sim, _ = _stormed(at, lands, contain=contain)
    settle(sim, again=not _clean(sim))
    return sim, judged(sim.history.acts, sim.setup)


def rolled_back(at: dict[int, Outcome], lands: timedelta = timedelta(minutes=3)) -> tuple[Sim, list[str]]:
    """A rotation without faults, and the way back in its grace, struck at these calls; then another rotation
    without faults and without grace. The run, and what the checker says of it.
    """
    sim, _ = _stormed_back(at, lands)
    settle(sim, grace=NOTHING)
    return sim, judged(sim.history.acts, sim.setup)


def rollback_calls(at: dict[int, Outcome], lands: timedelta = timedelta(minutes=3)) -> list[str]:
    """The calls that a way back makes."""
    sim, plan = _stormed_back(at, lands)
    sim.baton.kill_all()
    return plan.calls


def _stormed_back(at: dict[int, Outcome], lands: timedelta) -> tuple[Sim, Strikes]:
    sim, plan = Sim(_GRACEFUL, sum(at) * 1000 + len(at), CALM), Strikes(at, lands)
    sim.order("one")
    sim.start()
    sim.baton.run(lambda: sim.idle)
    sim.plan = plan
    sim.roll_back("one")
    sim.idle = False
    sim.baton.run(lambda: sim.idle or len(sim.history) > _MOST)
    return sim, plan


def drilled(at: dict[int, Outcome], lands: timedelta = timedelta(minutes=3)) -> tuple[Sim, list[str]]:
    """A drill, struck at these calls; then a rotation without faults. The run, and what the checker says."""
    sim, _ = _stormed_drill(at, lands)
    settle(sim)
    return sim, judged(sim.history.acts, sim.setup)


def drill_calls() -> list[str]:
    """The calls that a drill makes."""
    sim, plan = _stormed_drill({}, timedelta(0))
    sim.baton.kill_all()
    return plan.calls


def _stormed_drill(at: dict[int, Outcome], lands: timedelta) -> tuple[Sim, Strikes]:
    plan = Strikes(at, lands)
    sim = Sim(Setup(), sum(at) * 1000 + len(at), plan)
    sim.drill("one")
    sim.start()
    sim.baton.run(lambda: sim.idle or len(sim.history) > _MOST)
    return sim, plan


def storm_calls(
    at: dict[int, Outcome], lands: timedelta = timedelta(minutes=3), *, contain: bool = False
) -> list[str]:
    """The calls that such a run makes before it comes to rest: those that a second strike may hit."""
    sim, plan = _stormed(at, lands, contain=contain)
    sim.baton.kill_all()
    return plan.calls


def _stormed(at: dict[int, Outcome], lands: timedelta, *, contain: bool) -> tuple[Sim, Strikes]:
    plan = Strikes(at, lands)
    sim = Sim(Setup(), sum(at) * 1000 + len(at), plan)
    sim.order("one", contain=contain)
    sim.start()
    sim.baton.run(lambda: sim.idle or len(sim.history) > _MOST)
    return sim, plan


def _clean(sim: Sim) -> bool:
    """Whether everything was rotated and paid in spite of the faults, and nothing is on its way."""
    rotated = all(kept.current != "v0" for kept in sim.store.secrets.values())
    alone = all(len(provider.live) == 1 + sim.setup.foreign for provider in sim.providers.values())
    return rotated and alone and sim.idle and not sim.ledger.debts() and not sim.baton.waits


def settle(sim: Sim, *, again: bool = True, grace: timedelta | None = None) -> None:
    """The faults stop, whatever is on its way lands, and everything is rotated ``again``."""
    sim.settling = True
    sim.baton.kill_all()
    sim.plan = CALM
    sim.baton.deliver()
    sim.ledger_clock.off = NOTHING
    for provider in sim.providers.values():
        provider.works_after = provider.dies_after = provider.lists_after = NOTHING
        provider.admin_works = True
    sim.store.deleted.clear()
    sim.store.denies, sim.store.shown_after = False, NOTHING
    sim.clock.advance(timedelta(minutes=3))
    sim.note("outside", Did.OUTSIDE, "calm")
    sim.use(sim.policies)
    if again:
        _rotated_again(sim, grace)
    _last_lines(sim)


def _rotated_again(sim: Sim, grace: timedelta | None) -> None:
    """Every secret is rotated from its beginning. An order that joined what was under way is given again:
    that had looked before the faults stopped, and what landed since is found by the next look.
    """
    for policy in sim.policies.values():
        sim.ledger.withdraw(policy.target.id, "pause")
    calm = len(sim.history)
    _ordered(sim, sim.policies, grace)
    joined = {act.secret for act in sim.history.acts[calm:] if "joined" in act.data.get("events", ())}
    if joined:
        _ordered(sim, [name for name in sim.policies if name in joined], grace)


def _ordered(sim: Sim, names: Iterable[str], grace: timedelta | None) -> None:
    """A person has secrets rotated, and there is time for it."""
    for name in names:
        sim.order(name, grace)
    sim.idle, until = False, sim.clock.now() + timedelta(hours=40)
    sim.start()
    sim.baton.run(lambda: sim.idle or sim.clock.now() > until or len(sim.history) > 2 * _MOST)
    sim.baton.kill_all()


def _last_lines(sim: Sim) -> None:
    """How the ledger, the providers and the secrets are left."""
    for name, policy in sim.policies.items():
        secret = policy.target.id
        state, rotation = sim.ledger.secret(secret), sim.ledger.rotation(secret)
        paid = sim.ledger.debts(secret, ended=True)
        blocked = {debt.key_id: debt.block.kind for debt in sim.ledger.debts(secret) if debt.block}
        sim.note(
            "outside", Did.LEDGER, "left", name,
            current=state and state.current and state.current.key_id,
            block=state and state.block and state.block.kind,
            rotation=rotation and str(rotation.phase),
            slots=sim.slots(),
            debts=tuple(debt.key_id for debt in sim.ledger.debts(secret)),
            blocked=blocked,
            dead=tuple(debt.key_id for debt in paid if debt.phase == "dead"),
            leak=sim.holds_values(),
            told=sum(event.secret == secret for event in sim.told.events),
        )  # fmt: skip
