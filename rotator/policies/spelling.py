"""How a credential's fields are spelled in its secret: ``fields`` and ``format`` of a policy."""

from rotator.model import Traits
from rotator.policies.drafts import Draft
from rotator.policies.problems import Path, meant, shown
from rotator.policies.sections import PolicySection

Spelling = dict[str, str | None]


def spelling(draft: Draft, path: Path, own: PolicySection, traits: Traits) -> Spelling | None:
    """Our field names with the secret's, None for one that is not written; None if that cannot be."""
    if own.format == "text":
        return _plain(draft, path, own, traits)
    for name, theirs in own.fields.items():
        _check_field(draft, (*path, "fields", name), name, theirs, traits)
    spelled: dict[str, str] = {}
    for name in traits.fields:
        theirs = own.fields.get(name, name)
        if theirs is not None and spelled.setdefault(theirs, name) != name:
            draft.say(
                (*path, "fields"),
                f"fields: {spelled[theirs]} and {name} are both written to {shown(theirs)}.",
                "Give each its own name.",
            )
    return dict(own.fields)


def _check_field(draft: Draft, path: Path, name: str, theirs: str | None, traits: Traits) -> None:
    if name not in traits.fields:
        draft.say(path, f"fields: unknown field {shown(name)}.", meant(name, traits.fields))
    elif theirs is None and name in traits.secret_fields:
        draft.say(path, f"fields: {name} must be written, or nobody can use the key.", "Give it a name.")
    elif theirs is not None and not theirs.strip():
        draft.say(path, f"fields: {name} has an empty name.", "Give it a name, or null if it is not written.")


def _plain(draft: Draft, path: Path, own: PolicySection, traits: Traits) -> Spelling | None:
    """A secret that is one plain value: for credentials of which only one value is of use."""
    needed = [name for name in traits.fields if name in traits.secret_fields or name != traits.id_field]
    if len(needed) != 1:
        draft.say(
            (*path, "format"),
            f"format: text holds one value, but this credential needs {', '.join(needed)}.",
            "Write `format: json`, or leave it out.",
        )
        return None
    if own.fields:
        draft.say((*path, "fields"), "fields: a secret of one plain value has none.", "Leave it out.")
    return {name: name if name in needed else None for name in traits.fields}
