"""What pydantic finds, in words of ours: what is wrong with which key, and what would be right."""

import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rotator.policies.problems import Finding, Path, meant, shown
from rotator.policies.sections import WRONG, Section

M = TypeVar("M", bound=BaseModel)
_Words = tuple[str, str]

_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_SUBJECT = re.compile(r"^[A-Z][a-z]+ should")  # pydantic speaks of Input, String, List, …
_LONGEST = 300  # characters of an adapter's own words
_YAML_1_1 = frozenset({"yes", "no", "on", "off", "y", "n"})


def validate(
    model: type[M], data: object, path: Path, *, known: Sequence[str] = ()
) -> tuple[M | None, list[Finding]]:
    """The data as ``model``, or every reason why not, each at its place below ``path``.

    It is validated as JSON in strict mode, which is what an author of YAML expects: a list is a list,
    whatever collection the model has, and text is not a number. ``known`` are keys that stand beside the
    model's own, for the remedy.
    """
    try:
        return model.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    return None, [_finding(model, data, path, dict(each), known) for each in found]


def _finding(
    model: type[BaseModel], data: object, path: Path, error: dict[str, Any], known: Sequence[str]
) -> Finding:
    place = _place(data, error["loc"], missing=error["type"] == "missing")
    key = ".".join(str(part) for part in (*path[2:], *place) if isinstance(part, str))
    if error["type"] == "missing":
        return Finding((*path, *place), *_missing((*path[2:], *place)))
    message, remedy = _words(model, _at(data, place), place, error, known)
    named = f"{shown_key(key)}: {message}" if key and error["type"] != "extra_forbidden" else message
    return Finding((*path, *place), named, remedy)


def _place(data: object, loc: tuple[str | int, ...], *, missing: bool) -> Path:
    """The part of pydantic's location that exists in the data: it also names unions and keys."""
    place: Path = ()
    for count, part in enumerate(loc):
        if _has(_at(data, place), part):
            place = (*place, part)
        elif missing and count == len(loc) - 1:
            return (*place, part)
    return place


def _has(data: object, part: str | int) -> bool:
    if isinstance(part, str):
        return isinstance(data, dict) and part in data
    return isinstance(data, list) and part < len(data)


def _at(data: object, place: Path) -> object:
    for part in place:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def shown_key(key: str) -> str:
    """A key as a message names it, without quotes, and not at length."""
    return shown(key).strip("'\"") if key.isascii() else shown(key)


# --- one error -------------------------------------------------------------------------------------------


def _words(
    model: type[BaseModel], value: object, place: Path, error: dict[str, Any], known: Sequence[str]
) -> _Words:
    kind = error["type"]
    if kind in _SPECIAL:
        return _SPECIAL[kind](model, place, error, known)
    if kind in _EXPECTED:
        return _type_words(_EXPECTED[kind], value)
    said = _SUBJECT.sub("it should", str(error["msg"]).removeprefix("Value error, ").strip()[:_LONGEST])
    first, _, rest = said.partition(". ")
    return (first if first.endswith((".", "!", "?")) else f"{first}."), rest or "Correct this value."


def _type_words(expected: str, value: object) -> _Words:
    message = f"{expected} is expected, not {_kind(value)}."
    if expected == "text" and isinstance(value, int | float):
        return message, f'Quote it: "{shown(value)}".'
    if expected == "true or false" and isinstance(value, str) and value.lower() in _YAML_1_1:
        return message, f"YAML 1.2 reads {shown(value)} as text: write true or false."
    if value is None:
        return message, "Give it a value, or leave the key out."
    return message, f"Write {expected}."


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {shown(value)}" if value.lower() in _YAML_1_1 else "text"
    return shown(value)


def _own(_model: type[BaseModel], _place: Path, error: dict[str, Any], _known: Sequence[str]) -> _Words:
    return str(error["ctx"]["message"]), str(error["ctx"]["remedy"])


def _missing(place: Path) -> _Words:
    key = str(place[-1]) if place else "a key"
    inside = ".".join(str(part) for part in place[:-1] if isinstance(part, str))
    return f"{key} is missing{f' in {inside}' if inside else ''}.", f"Add `{key}:`."


def _extra(model: type[BaseModel], place: Path, _error: dict[str, Any], known: Sequence[str]) -> _Words:
    key = str(place[-1]) if place else ""
    inside = _model_at(model, place[:-1])
    names = [*_keys(inside), *(known if len(place) == 1 else ())]
    elsewhere = inside.elsewhere.get(key) if inside is not None and issubclass(inside, Section) else None
    return f"unknown key {shown(key)}.", f"{elsewhere} {meant(key, names)}" if elsewhere else meant(
        key, names
    )


def _choice(_model: type[BaseModel], _place: Path, error: dict[str, Any], _known: Sequence[str]) -> _Words:
    return "this is none of the possible values.", f"Write {str(error['ctx']['expected'])[:200]}."


def _short(_model: type[BaseModel], _place: Path, _error: dict[str, Any], _known: Sequence[str]) -> _Words:
    return "this is empty, or too short.", "Give it a value, or leave the key out."


_SPECIAL: Mapping[str, Callable[[type[BaseModel], Path, dict[str, Any], Sequence[str]], _Words]] = {
    WRONG: _own,
    "extra_forbidden": _extra,
    "literal_error": _choice,
    "enum": _choice,
    "string_too_short": _short,
    "too_short": _short,
}


# --- which keys there are --------------------------------------------------------------------------------


def _model_at(model: type[BaseModel], place: Path) -> type[BaseModel] | None:
    """The model inside another one at ``place``."""
    found, named = model, False
    for part in place:
        if not isinstance(part, str) or named:  # the place in a list, or somebody's own name in a mapping
            named = False
            continue
        fields = {_key(found, name): field.annotation for name, field in found.model_fields.items()}
        inside, named = _model_in(fields.get(part)), get_origin(fields.get(part)) is dict
        if inside is None:
            return None
        found = inside
    return found


def _keys(model: type[BaseModel] | None) -> list[str]:
    """The keys that a model knows."""
    return [_key(model, name) for name in model.model_fields] if model else []


def _key(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside Optional, list and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, dict) or get_args(annotation):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None
