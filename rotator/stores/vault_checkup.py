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
    "data/{beside}": _NONE,  # other people's secrets: in the same folders, and at the top
    "metadata/{beside}": _NONE,
}
_SYSTEM = (  # ways to more rights, and other people's logins
    "auth/token/create",
    "sys/auth",
    "sys/auth/rotator-asks",
    "sys/mounts/rotator-asks",
    "sys/policies/acl/rotator-asks",
)
_BESIDE = "rotator-asks-whether-it-may-read-others"  # a name that no secret has
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
    return [*found, *_unguarded(calls, settings, secrets, told)]


def _unguarded(
    calls: "Calls", settings: Settings, secrets: Iterable[str], told: Mapping[str, frozenset[str]]
) -> list[Finding]:
    """The secrets that others may write over without looking, as far as their settings may be read."""

    def readable(path: str) -> bool:
        return bool({"read", "root"} & told.get(f"{settings.mount}/{path}", frozenset()))

    if not readable("config") or calls.rules(place(settings.mount, "any")).cas_required:
        return []
    wheres = [place(settings.mount, secret) for secret in dict.fromkeys(secrets)]
    keys = {where.path: calls.key(where) for where in wheres if readable(f"metadata/{where.path}")}
    open_to_all = [path for path, key in keys.items() if key is not None and not key.rules.cas_required]
    if not open_to_all:
        return []
    text = f"cas_required is off for {_few(open_to_all)}: rotator checks and sets, others need not"
    return [Finding(Grade.OK, "", text)]


def paths(mount: str, secrets: Iterable[str]) -> dict[str, list[str]]:
    """Every path to ask about, by its kind: ``data/{secret}`` and so on."""
    listed = list(dict.fromkeys(secrets))
    found: dict[str, list[str]] = {}
    beside = list(dict.fromkeys([_BESIDE, *(f"{path.rpartition('/')[0]}/{_BESIDE}" for path in listed)]))
    meant = {"{secret}": listed, "{beside}": [path.lstrip("/") for path in beside]}
    for kind in {**RIGHTS, **_NEVER, **DESTROY_RIGHTS}:
        mark = next((mark for mark in meant if mark in kind), None)
        spelled = [kind.replace(mark, each) for each in meant[mark]] if mark else [kind]
        found[kind] = list(dict.fromkeys(f"{mount}/{each.replace('*', _WAITING)}" for each in spelled))
    return {**found, **{kind: [kind] for kind in (*TOKEN_RIGHTS, *_SYSTEM)}}


def compared(kinds: Kinds, told: Mapping[str, frozenset[str]], *, destroy_old: bool) -> list[Finding]:
    """What Vault told, beside what is needed. Pure."""
    needs = {**RIGHTS, **_NEVER, **(DESTROY_RIGHTS if destroy_old else {}), **TOKEN_RIGHTS}
    needs |= dict.fromkeys(_SYSTEM, _NONE)
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
    return found or [
        Finding(Grade.OK, "", "the token may do what is needed, and nothing else of what was asked about")
    ]


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
    first = those[0].replace(_WAITING, "*").replace(_BESIDE, "(any other secret)")
    return first if len(those) == 1 else f"{first} and {len(those) - 1} more of its kind"
