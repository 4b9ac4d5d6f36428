"""A KV v2 object as the text that the stories know, and back. Pure.

KV v2 stores an object, not a text: Vault sorts its members, drops the spacing and reads every number as a
float (KV engine, path_data.go). So texts are compared by what they mean. A secret of ``format: text`` is an
object with the one field ``value``, as ``vault kv put PATH value=…`` writes it.
"""

import json
from typing import Any

from rotator.errors import NeedsPerson, Unknown
from rotator.interfaces import Stored
from rotator.model import Credential, Target
from rotator.stores import secret_text
from rotator.stores.vault_described import Value

PLAIN = "value"
_FORWARD = "promoted_as"


def stored(target: Target, value: Value, version: str) -> Stored:
    """A version as the stories know it; ``whole`` has the one field ``""``, the object or the plain value."""
    text = of_object(target, value.text)
    return Stored(version, value.created_at, secret_text.understood(target, text), Credential({"": text}))


def of_object(target: Target, text: str) -> str:
    """The text of a stored object: itself, or for ``format: text`` its one value."""
    if target.format != "text":
        return text
    found = secret_text.members(target.secret, text)
    if not found:
        return secret_text.EMPTY
    if len(found) != 1 or found[0].key != PLAIN or not isinstance(found[0].value, str):
        raise NeedsPerson(
            "not-one-field",
            f"Secret {target.secret!r} is to be one plain value, but is not an object with the one field "
            f"{PLAIN!r} and text in it.",
            todo=f"Use `format: json` in the policy, or write it with `vault kv put … {PLAIN}=…`.",
        )
    return found[0].value


def to_object(target: Target, text: str) -> str:
    """The object to store for a text."""
    return json.dumps({PLAIN: text}) if target.format == "text" else text


def same(one: str, other: str) -> bool:
    """Whether two objects mean the same to whoever reads them; compared in constant time."""
    return secret_text.same(_meaning(one), _meaning(other))


def _meaning(text: str) -> str:
    return json.dumps(_loaded(text), sort_keys=True)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        broken = Unknown("garbage", "What Vault holds is not JSON.")
    raise broken


def forward(number: int) -> str:
    """What stands at the pending path once its value was promoted: where it is now, and no value."""
    return json.dumps({_FORWARD: number})


def forwarded(text: str) -> int | None:
    """The number that a forward names."""
    value = _loaded(text)
    number = value.get(_FORWARD) if isinstance(value, dict) else None
    return int(number) if isinstance(number, float) and number >= 1 else None
