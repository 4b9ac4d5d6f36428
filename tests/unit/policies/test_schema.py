import json
from typing import Any

from rotator.policies import json_schema
from tests.unit.policies.fakes import ADAPTERS

SCHEMA = json_schema(ADAPTERS)


def _refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _refs(value)]
    return [ref for value in node for ref in _refs(value)] if isinstance(node, list) else []


def test_is_json_of_the_draft() -> None:
    """The schema names its draft and can be written as JSON."""
    assert json.loads(json.dumps(SCHEMA))["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_references_lead_somewhere() -> None:
    """Every reference names a definition of the same schema."""
    assert {ref.removeprefix("#/$defs/") for ref in _refs(SCHEMA)} <= set(SCHEMA["$defs"])


def test_types() -> None:
    """Each type has its own keys beside the section's, and no others."""
    fancy, plain = SCHEMA["$defs"]["ProviderSection"]["oneOf"]
    assert fancy["properties"]["type"] == {"const": "fancy"}
    assert set(fancy["properties"]) == {"type", "base_url", "admin", "pool"}
    assert set(plain["properties"]) == {"type", "base_url", "admin"}
    assert fancy["additionalProperties"] is plain["additionalProperties"] is False
    (store,) = SCHEMA["$defs"]["StoreSection"]["oneOf"]
    assert store["required"] == ["type", "region"]


def test_policies() -> None:
    """Keys are spelled as in the file, durations as people write them."""
    policy = SCHEMA["$defs"]["PolicySection"]
    assert policy["required"] == ["name", "secret"]
    assert policy["properties"]["grace"]["default"] == "24h"
    assert {"from", "to", "days"} == set(SCHEMA["$defs"]["WindowSection"]["properties"])
    assert [kind["title"] for kind in policy["properties"]["key"]["anyOf"]] == ["fancy", "plain"]
