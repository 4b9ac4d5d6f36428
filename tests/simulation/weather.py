"""What else happens while workers work: people, providers, other writers, clocks. Drawn from a seed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from rotator.model import DebtReason, Order
from tests.simulation.engine import Sim
from tests.simulation.history import Did
from tests.simulation.outside import NOTHING, SimProvider

HOUR = timedelta(hours=1)
Event = Callable[[Sim, Random], None]


def run_now(sim: Sim, rng: Random) -> None:
    """A person wants a secret rotated, perhaps without grace, or only what is older than a while."""
    grace = rng.choice((None, None, None, NOTHING, timedelta(minutes=10)))
    ago = rng.choice((None, None, None, timedelta(0), timedelta(minutes=5), HOUR))
    before = None if ago is None else sim.ledger_clock.now() - ago
    sim.order(_place(sim, rng), grace, issued_before=before)


def leaked(sim: Sim, rng: Random) -> None:
    """Others know a key: of the version in service, of one that is pending, or of an older one; or a person
    wants the key in service dead before there is another.
    """
    name = _place(sim, rng)
    version = rng.choice([*sim.store.secrets[name].versions, None, None])
    sim.order(name, NOTHING, leaked=version, contain=version is None or rng.random() < 0.3)


def roll_back(sim: Sim, rng: Random) -> None:
    """A person wants a key before, sooner or later, mostly one that lives, and goes forth again perhaps."""
    grace = rng.choice((None, None, NOTHING, timedelta(minutes=10)))

    def asked() -> None:
        owed = {debt.policy.name for debt in sim.ledger.debts() if debt.reason is DebtReason.REPLACED}
        sim.roll_back(rng.choice(sorted(owed)) if owed else _place(sim, rng), grace)

    for _ in range(rng.choice((1, 1, 2))):
        sim.baton.at(sim.clock.now() + timedelta(seconds=rng.choice((0, 10, 60, 300, 3000))), asked)


def drill(sim: Sim, rng: Random) -> None:
    """A person wants to know whether the path works."""
    sim.drill(_place(sim, rng))


def pause(sim: Sim, rng: Random) -> None:
    """A person holds a policy for a while, or lets it go on."""
    name, now = _place(sim, rng), sim.ledger_clock.now()
    secret = sim.policies[name].target.id
    if rng.random() < 0.3:
        sim.ledger.withdraw(secret, rng.choice(("pause", "run")))
    else:
        until = now + HOUR * rng.choice((0.2, 1, 8))
        sim.ledger.give(secret, Order("pause", "a person", "freeze", now, until=until))
    _done(sim, "pause", name)


def edit(sim: Sim, rng: Random) -> None:
    """A policy gets another grace or other key settings."""
    name = _place(sim, rng)
    if rng.random() < 0.5:
        grace = timedelta(minutes=rng.choice((5, 30, 90)))
        sim.policies[name] = replace(sim.policies[name], grace=grace)
        _done(sim, "edit", name, grace=grace)
    else:
        scopes = rng.sample(("read", "write", "trade"), 2)
        sim.policies[name] = replace(sim.policies[name], key={"scopes": scopes})
        _done(sim, "edit", name)
    sim.use(sim.policies)


def withdraw(sim: Sim, rng: Random) -> None:
    """A policy is deleted, and maybe comes back."""
    name = _place(sim, rng)
    sim.use({other: policy for other, policy in sim.policies.items() if other != name})
    _done(sim, "delete", name)
    sim.baton.at(sim.clock.now() + HOUR * rng.choice((0.1, 2)), lambda: sim.use(sim.policies))


def other_field(sim: Sim, rng: Random) -> None:
    """Somebody changes another field of the object."""
    name = _place(sim, rng)
    _write(sim, name, {**sim.store.value(name), "more": str(rng.random())})


def by_hand(sim: Sim, rng: Random) -> None:
    """Somebody writes back what an earlier version held."""
    name = _place(sim, rng)
    kept = sim.store.secrets[name]
    earlier = [version for version in kept.history[:-1] if version in kept.versions]
    if earlier:
        _write(sim, name, kept.versions[rng.choice(earlier)])


def label_moved(sim: Sim, rng: Random) -> None:
    """Somebody moves the label back to the version before."""
    name = _place(sim, rng)
    kept = sim.store.secrets[name]
    if kept.previous in kept.versions and name not in sim.store.deleted:
        kept.previous, kept.current = kept.current, kept.previous
        sim.truth("outside")


def foreign_key(sim: Sim, rng: Random) -> None:
    """Somebody puts a key of their own into a secret."""
    name = _place(sim, rng)
    provider = sim.providers[sim.policies[name].provider.name]
    if len(provider.live) < provider.limit:
        key = provider.add("of somebody else")
        sim.truth("outside")
        _write(sim, name, {**sim.store.value(name), "key_id": key.key_id, "secret": key.secret})


def killed(sim: Sim, rng: Random) -> None:
    """Somebody revokes a key at the provider."""
    provider = _provider(sim, rng)
    if provider.keys:
        provider.kill(rng.choice(sorted(provider.keys)))
        sim.truth("outside")


def crowded(sim: Sim, rng: Random) -> None:
    """Keys of others come and go."""
    provider = _provider(sim, rng)
    foreign = [key for key in provider.live if key.label == "of somebody else"]
    if foreign and rng.random() < 0.5:
        provider.kill(rng.choice(foreign).key_id)
    elif len(provider.live) < provider.limit:
        provider.add("of somebody else")
    sim.truth("outside")


def deleted(sim: Sim, rng: Random) -> None:
    """A secret is marked deleted, and restored."""
    name = _place(sim, rng)
    sim.store.deleted.add(name)
    _done(sim, "deleted", name)
    sim.baton.at(sim.clock.now() + HOUR * rng.choice((0.02, 1)), lambda: sim.store.deleted.discard(name))


def admin_refused(sim: Sim, rng: Random) -> None:
    """The admin credential is refused for a while."""
    provider = _provider(sim, rng)
    provider.admin_works = False
    _done(sim, "admin refused", None)

    def mended() -> None:
        provider.admin_works = True

    sim.baton.at(sim.clock.now() + HOUR * rng.choice((0.1, 3)), mended)


def lag(sim: Sim, rng: Random) -> None:
    """A provider takes its time until everybody knows."""
    provider = _provider(sim, rng)
    provider.works_after = timedelta(seconds=rng.choice((0, 3, 40)))
    provider.dies_after = timedelta(seconds=rng.choice((0, 3, 400)))
    provider.lists_after = timedelta(seconds=rng.choice((0, 3, 15)))


def denied(sim: Sim, rng: Random) -> None:
    """The store refuses writes for a while."""
    sim.store.denies = True

    def mended() -> None:
        sim.store.denies = False

    sim.baton.at(sim.clock.now() + HOUR * rng.choice((0.02, 0.5)), mended)


def clock(sim: Sim, rng: Random) -> None:
    """The ledger's clock is set."""
    hours = rng.choice((0, 0, 0.02, -0.02, 1, -1, 24, -24))
    sim.ledger_clock.off = HOUR * hours
    sim.note("outside", Did.CLOCK, "set", hours=hours)
    sim.baton.wake_idle()


def sigterm(sim: Sim, rng: Random) -> None:
    """A worker is told to stop, and another takes its place."""
    living = [one for one in sim.processes if not (one.dead or one.leaves)]
    if living:
        one = rng.choice(living)
        sim.stop(one)
        sim.replace(one)


EVENTS: tuple[Event, ...] = (
    run_now, pause, edit, withdraw, other_field, by_hand, label_moved, foreign_key, killed, crowded, deleted,
    admin_refused, lag, denied, clock, sigterm, leaked, roll_back, drill,
)  # fmt: skip


def _place(sim: Sim, rng: Random) -> str:
    return rng.choice([place.name for place in sim.setup.places])


def _provider(sim: Sim, rng: Random) -> SimProvider:
    return sim.providers[rng.choice(sorted(sim.providers))]


def _done(sim: Sim, what: str, name: str | None, **data: Any) -> None:
    sim.note("outside", Did.OUTSIDE, what, name, **data)
    sim.baton.wake_idle()


def _write(sim: Sim, name: str, value: Mapping[str, str]) -> None:
    """A new version, current at once, under a name of its own."""
    if name in sim.store.deleted:
        return
    version = f"by-hand-{len(sim.store.secrets[name].history)}"
    sim.store.put(name, version, value, current=True)
    sim.truth("outside")
