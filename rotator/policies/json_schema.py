"""The policy file as JSON Schema (draft 2020-12), drawn from the models that validate it."""

from typing import Any

from pydantic import BaseModel

from rotator.policies.book import Adapters, Table
from rotator.policies.loading import installed
from rotator.policies.notify import SECTION, NotifySection
from rotator.policies.sections import ConsumerSection, FileSection, ProviderSection, StoreSection

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{model}"

Schema = dict[str, Any]


def json_schema(adapters: Adapters | None = None) -> Schema:
    """What an editor needs to complete and check a policy file: every key, and each type's own."""
    tables = adapters or installed()
    schema = FileSection.model_json_schema(by_alias=True, ref_template=_REF)
    definitions: Schema = schema["$defs"]
    definitions["StoreSection"] = _choice(tables.stores, "Settings", StoreSection, definitions)
    definitions["ProviderSection"] = _choice(tables.providers, "Options", ProviderSection, definitions)
    definitions["ConsumerSection"] = _choice(tables.consumers, "Settings", ConsumerSection, definitions)
    definitions["PolicySection"]["properties"]["key"] = _key(tables.providers, definitions)
    schema["properties"][SECTION] = _schema(NotifySection, definitions, SECTION)
    return {"$schema": _DRAFT, **schema, "title": "rotator policy file"}


def _choice(table: Table, own: str, section: type[BaseModel], definitions: Schema) -> Schema:
    """One of several objects, told apart by ``type``: the section's keys and the type's own."""
    return {"oneOf": [_of_type(table, kind, own, section, definitions) for kind in sorted(table.names())]}


def _of_type(table: Table, kind: str, own: str, section: type[BaseModel], definitions: Schema) -> Schema:
    shared = _schema(section, definitions, section.__name__)
    special = _schema(getattr(table.adapter(kind), own), definitions, f"{kind}-{own}")
    properties = {**shared["properties"], **special.get("properties", {}), "type": {"const": kind}}
    return {
        "type": "object",
        "properties": properties,
        "required": [*shared.get("required", []), *special.get("required", [])],
        "additionalProperties": False,
    }


def _key(table: Table, definitions: Schema) -> Schema:
    """The key settings of any provider: which one it is stands elsewhere in the file."""
    kinds = [
        {**_schema(table.adapter(kind).Settings, definitions, f"{kind}-key"), "title": kind}
        for kind in sorted(table.names())
    ]
    return {"anyOf": kinds, "description": "The provider's own settings of a key."}


def _schema(model: type[BaseModel], definitions: Schema, prefix: str) -> Schema:
    """A model's schema, with its own definitions moved, under a prefix, to the common ones."""
    template = f"#/$defs/{prefix}.{{model}}"
    schema = model.model_json_schema(by_alias=True, ref_template=template)
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = definition
    return schema
