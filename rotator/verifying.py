"""Whether a pending key may come into service: what its probes say, counted. One look, no waiting."""

from dataclasses import dataclass, replace
from datetime import datetime

from rotator import breaker
from rotator.desk import Desk
from rotator.errors import NeedsPerson
from rotator.interfaces import Stored
from rotator.model import Credential, Probe, Rotation, Verdict


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a key must not come into service, whatever its probe says."""

    kind: str
    why: str
    blocked: NeedsPerson | None = None


def repeats(desk: Desk, rotation: Rotation, new: Credential, onto: Stored) -> bool:
    """Whether a key that was issued has a secret part of the one in service: then it is no other key."""
    traits = desk.provider(rotation.policy).traits
    if traits.expires:  # a server may hand out one token until it ends, and our part of it stays the same
        return False
    parts = [name for name in traits.secret_fields if new.get(name)]
    return any(new.same(onto.credential, [name]) for name in parts)


def probed(desk: Desk, rotation: Rotation, stored: Stored) -> Probe | Objection:
    """Probe the store's copy once; an objection if the key works but is not the one that was asked for."""
    probe = breaker.verified(desk, rotation.policy, stored.credential)
    if probe.verdict is not Verdict.LIVE:
        return probe
    known = desk.state.account
    if known is not None and probe.account is not None and known != probe.account:
        return Objection(
            "wrong-account", f"the new key is of account {probe.account}, the old one of {known}"
        )
    excess = desk.provider(rotation.policy).excess(rotation.wanted, probe.granted or {})
    if excess is not None:
        return Objection("not-as-asked", excess)
    return _controlled(desk, rotation, stored, probe)


def _controlled(desk: Desk, rotation: Rotation, stored: Stored, probe: Probe) -> Probe | Objection:
    """A probe that also accepts a corrupted key proves nothing: tried once per adapter version and URL."""
    provider, ref = desk.provider(rotation.policy), rotation.policy.provider
    key = f"control:{ref.type}/{provider.traits.version}/{ref.base_url}"
    if not provider.traits.control or desk.memory.knows(key, desk.world.ledger):
        return probe
    control = provider.probe(stored.credential.corrupted(provider.traits.secret_fields))
    if control.verdict is Verdict.LIVE:
        why = f"the probe of {ref.name} also accepts a corrupted key, so it proves nothing"
        todo = "check base_url: it must be the provider's own API, not something that answers for it"
        return Objection(
            "probe-proves-nothing", why, NeedsPerson("probe-proves-nothing", f"{why}.", todo=todo)
        )
    if control.verdict is Verdict.UNKNOWN:
        return Probe(Verdict.UNKNOWN, f"the negative control got no clear answer: {control.why}")
    desk.world.ledger.remember(key, desk.now().isoformat())
    return probe


def counted(rotation: Rotation, probe: Probe, now: datetime) -> Rotation:
    """Count a probe: a success is one more, a refusal begins anew, silence changes nothing. Pure."""
    attempt = rotation.attempt
    if probe.verdict is Verdict.LIVE:
        attempt = replace(
            attempt, successes=attempt.successes + 1, first_success=attempt.first_success or now
        )
    elif probe.verdict is Verdict.DEAD:
        attempt = replace(attempt, successes=0, first_success=None)
    return replace(rotation, attempt=attempt)
