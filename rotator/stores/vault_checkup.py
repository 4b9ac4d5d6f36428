"""Whether the worker's token may do what rotator does, and no more: asked by ``sys/capabilities-self``.

That changes nothing (Vault API, system backend). Paths of one kind that lack, or have, the same are told in
one sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rotator.capabilities import Finding, Grade
from rotator.stores.vault_rights import DESTROY_RIGHTS, RIGHTS, TOKEN_RIGHTS
from rotator.stores.vault_settings import Settings, place

if TYPE_CHECKING:
    from rotator.stores.vault_calls import Calls

_NONE: tuple[str, ...] = ()
_NEVER: Mapping[str, tuple[str, ...]] = {  # below the mount: what rotator never does
    "delete/{secret}": _NONE,
    "undelete/{secret}": _NONE,
    "destroy/{secret}": _NONE,
    "metadata/": _NONE,
}
_WAITING = "00000000/rotator"  # stands for any ledger's folder, where a rule ends with *
_AT_ONCE = 200  # paths of one request

Kinds = Mapping[str, Sequence[str]]  # the paths of each kind


def checked(calls: "Calls", settings: Settings, secrets: Iterable[str]) -> list[Finding]:
    """What is missing and what is more than needed, for these secrets; raises what ``calls`` raises."""
    kinds = paths(settings.mount, [place(settings.mount, secret).path for secret in secrets])
    asked = [path for each in kinds.values() for path in each]
    told: dict[str, frozenset[str]] = {}
    for begin in range(0, len(asked), _AT_ONCE):
        told |= calls.capabilities(asked[begin : begin + _AT_ONCE])
    found = compared(kinds, told, destroy_old=settings.destroy_old)
    readable = {"read", "root"} & told.get(f"{settings.mount}/config", frozenset())
    if readable and not calls.rules(place(settings.mount, "any")).cas_required:
        text = f"cas_required is off at mount {settings.mount}: rotator checks and sets, others need not"
        found.append(Finding(Grade.OK, "", text))
    return found


def paths(mount: str, secrets: Iterable[str]) -> dict[str, list[str]]:
    """Every path to ask about, by its kind: ``data/{secret}`` and so on."""
    listed = list(dict.fromkeys(secrets))
    found: dict[str, list[str]] = {}
    for kind in {**RIGHTS, **_NEVER, **DESTROY_RIGHTS}:
        spelled = [kind.replace("{secret}", each) for each in listed] if "{secret}" in kind else [kind]
        found[kind] = [f"{mount}/{each.replace('*', _WAITING)}" for each in spelled]
    return {**found, **{kind: [kind] for kind in TOKEN_RIGHTS}}


def compared(kinds: Kinds, told: Mapping[str, frozenset[str]], *, destroy_old: bool) -> list[Finding]:
    """What Vault told, beside what is needed. Pure."""
    needs = {**RIGHTS, **_NEVER, **(DESTROY_RIGHTS if destroy_old else {}), **TOKEN_RIGHTS}
    if any("root" in held for held in told.values()):
        text = "the worker's token is a root token: it may do everything"
        return [Finding(Grade.WARNING, "", text, "Give it one with no more rights than rotator needs.")]
    found = []
    for kind, asked in kinds.items():
        needed = frozenset(needs[kind])
        lacking = {path: needed - told.get(path, frozenset()) for path in asked}
        exceeding = {path: told.get(path, frozenset()) - needed - {"deny"} for path in asked}
        found += [_lacks(kind, rights, those) for rights, those in _grouped(lacking).items()]
        if kind not in TOKEN_RIGHTS:  # Vault's own policy `default` says what those are
            found += [_exceeds(rights, those) for rights, those in _grouped(exceeding).items()]
    return found or [Finding(Grade.OK, "", "the token may do exactly what is needed")]


def _grouped(differing: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """Paths by the rights in which they differ from what is needed."""
    found: dict[str, list[str]] = {}
    for path, rights in differing.items():
        if rights:
            found.setdefault(", ".join(sorted(rights)), []).append(path)
    return found


def _lacks(kind: str, rights: str, those: Sequence[str]) -> Finding:
    grade = Grade.WARNING if kind in TOKEN_RIGHTS else Grade.ERROR
    todo = f"Allow {rights} there, in the policy of the worker's token or role."
    return Finding(grade, "", f"missing on {_few(those)}: {rights}", todo)


def _exceeds(rights: str, those: Sequence[str]) -> Finding:
    todo = f"Take {rights} off the policy of the worker's token or role."
    return Finding(Grade.WARNING, "", f"more than needed on {_few(those)}: {rights}", todo)


def _few(those: Sequence[str]) -> str:
    """The first of some paths of one kind, and how many there are besides."""
    first = those[0].replace(_WAITING, "*")
    return first if len(those) == 1 else f"{first} and {len(those) - 1} more of its kind"
