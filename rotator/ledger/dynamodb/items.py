"""Items as plain values, and what may be done to one: DynamoDB's notation is written here, nowhere else.

Names in expressions are always ``#name`` and values ``:value``, since many of ours are reserved words
(DynamoDB developer guide, "Reserved words").
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Key = tuple[str, str]
Item = dict[str, Any]
_NAME = re.compile(r"#(\w+)")


def packed(value: object) -> dict[str, Any]:
    """A value as DynamoDB takes it: text, a whole number, a truth, nothing, or a mapping of those."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case dict():
            return {"M": {name: packed(one) for name, one in value.items()}}
    raise TypeError(f"a ledger's item holds no {type(value).__name__}")


def unpacked(value: Mapping[str, Any]) -> object:
    """The value again; of another kind, which rotator never writes but others may, what is there."""
    ((kind, found),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(found) if re.fullmatch(r"-?\d+", found) else found
        case "M":
            return {name: unpacked(one) for name, one in found.items()}
    return found


def opened(item: Mapping[str, Any]) -> Item:
    """An item of an answer, as plain values."""
    return {name: unpacked(value) for name, value in item.items()}


def closed(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as a request holds it."""
    return {name: packed(value) for name, value in item.items()}


def addressed(key: Key) -> dict[str, Any]:
    """An item's key as a request holds it."""
    return closed({"pk": key[0], "sk": key[1]})


def expressed(values: Mapping[str, object], **texts: str) -> dict[str, Any]:
    """The part of a request that has expressions, with the names and values that they use."""
    names = sorted({name for text in texts.values() for name in _NAME.findall(text)})
    found: dict[str, Any] = dict(texts)
    if names:
        found["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
    if values:
        found["ExpressionAttributeValues"] = {f":{name}": packed(value) for name, value in values.items()}
    return found


class How(StrEnum):
    """What is done to an item, as the members of a transaction call it."""

    UPDATE = "Update"  # the attributes that are not named stay; made where there is none
    PUT = "Put"  # the whole item
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Write:
    """What one item becomes, if it is as ``when`` demands: a condition as DynamoDB has it, with ``values``.

    ``sets`` are attributes; one that is None is taken away. ``once`` are set where there are none yet, and
    ``sums`` to what another attribute is and a number.
    """

    key: Key
    sets: Mapping[str, object] = field(default_factory=dict)
    once: Mapping[str, object] = field(default_factory=dict)
    sums: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    when: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    how: How = How.UPDATE

    def request(self) -> dict[str, Any]:
        """As UpdateItem, PutItem, DeleteItem and the members of a transaction take it, but for the table."""
        condition = {"ConditionExpression": self.when} if self.when else {}
        if self.how is How.DELETE:
            return {"Key": addressed(self.key), **expressed(self.values, **condition)}
        if self.how is How.PUT:
            there = {name: value for name, value in self.sets.items() if value is not None}
            return {"Item": {**addressed(self.key), **closed(there)}, **expressed(self.values, **condition)}
        values = dict(self.values)
        text = " ".join(self._clauses(values))
        return {"Key": addressed(self.key), **expressed(values, UpdateExpression=text, **condition)}

    def _clauses(self, values: dict[str, object]) -> Iterator[str]:
        """The clauses of an update; the values that they use go into ``values``."""
        written = {name: value for name, value in self.sets.items() if value is not None}
        added = {name: number for name, (_, number) in self.sums.items()}
        values |= {f"set_{name}": value for name, value in (written | dict(self.once) | added).items()}
        sets = [f"#{name} = :set_{name}" for name in written]
        sets += [f"#{name} = if_not_exists(#{name}, :set_{name})" for name in self.once]
        sets += [f"#{name} = #{other} + :set_{name}" for name, (other, _) in self.sums.items()]
        taken = [f"#{name}" for name, value in self.sets.items() if value is None]
        if sets:
            yield f"SET {', '.join(sets)}"
        if taken:
            yield f"REMOVE {', '.join(taken)}"


def put(
    key: Key, sets: Mapping[str, object], when: str = "", values: Mapping[str, object] | None = None
) -> Write:
    """An item becomes this, whatever it was."""
    return Write(key, sets, when=when, values=values or {}, how=How.PUT)


def gone(key: Key, when: str = "", values: Mapping[str, object] | None = None) -> Write:
    """An item is removed."""
    return Write(key, when=when, values=values or {}, how=How.DELETE)


NEW = "attribute_not_exists(#pk)"
THERE = "attribute_exists(#pk)"
