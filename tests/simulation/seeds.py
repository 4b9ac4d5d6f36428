"""A run drawn from one number: how many workers, which faults, what weather; the same each time."""

from datetime import datetime, timedelta
from random import Random

from tests.simulation.checker import judged
from tests.simulation.engine import ADOPTED, EMPTY, UNADOPTED, UNVERSIONED, Place, Setup, Sim
from tests.simulation.outcomes import Outcome, Storm
from tests.simulation.runs import settle
from tests.simulation.weather import EVENTS, Event, clock, run_now

LONGEST = 3000  # lines of a storm
_NEAR = 0.6  # how likely an event meets a rotation, which takes seconds of hours


def run(seed: int) -> tuple[Sim, list[str]]:
    """The run of a seed, and which rules it broke."""
    rng = Random(f"scenario {seed}")
    setup = _setup(rng)
    storm = Storm(rng, rng.choice((0.01, 0.05, 0.15, 0.3)), rng.choice((0, 0.003, 0.02)), _likes(rng))
    sim = Sim(setup, seed, storm)
    for _ in range(rng.choice((1, 1, 2, 3))):
        sim.start()
    span = timedelta(hours=rng.choice((3, 12, 30)))
    _weather(sim, rng, span)
    ends = sim.clock.now() + span
    sim.baton.run(lambda: sim.clock.now() > ends or len(sim.history) > LONGEST)
    settle(sim)
    return sim, judged(sim.history.acts, sim.setup)


def _setup(rng: Random) -> Setup:
    providers = ("alpha", "beta")[: rng.choice((1, 1, 2))]
    places = tuple(
        Place(
            name,
            rng.choice(providers),
            timedelta(minutes=rng.choice((2, 60, 60, 300))),
            rng.choice((ADOPTED, ADOPTED, ADOPTED, ADOPTED, UNADOPTED, EMPTY, UNVERSIONED)),
        )
        for name in ("one", "two", "three")[: rng.choice((1, 2, 3))]
    )
    foreign = rng.choice((0, 1, 1))
    room = rng.choice((1, 2, 3, 6))
    limits = {name: foreign + room + sum(place.provider == name for place in places) for name in providers}
    switch, replicated = rng.choice((0.05, 0.3, 0.7)), rng.random() < 0.2
    return Setup(places, limits, foreign, switch, latency=True, replicated=replicated)


def _likes(rng: Random) -> tuple[Outcome, ...]:
    """Some kinds of fault, so that one run is not the same mixture as the other."""
    return tuple(one for one in Outcome if one is not Outcome.OK and rng.random() < 0.4)


def _weather(sim: Sim, rng: Random, span: timedelta) -> None:
    """Events at random moments of the span; some kinds only."""
    liked = [event for event in EVENTS if rng.random() < 0.25]
    if sim.setup.replicated:
        liked = [event for event in liked if event is not clock]
        sim.store.shown_after = timedelta(minutes=rng.choice((0, 5, 60)))
    times = [sim.clock.now() + span * (rng.random() ** 2) for _ in range(rng.choice((1, 3, 6)))]
    chosen: list[tuple[datetime, Event]] = [(at, run_now) for at in times]
    for event in rng.choices(liked, k=rng.choice((0, 3, 8, 20))) if liked else []:
        near = rng.choice(times) + timedelta(seconds=20 * rng.random())  # while something is under way
        chosen.append((near if rng.random() < _NEAR else sim.clock.now() + span * rng.random(), event))
    for at, event in chosen:
        sim.baton.at(at, lambda event=event: event(sim, rng))  # type: ignore[misc]
