"""From YAML to policies, or to every reason why not."""

from rotator.errors import PolicyError
from rotator.policies.book import Adapters, Book, Table
from rotator.policies.files import stamp
from rotator.policies.json_schema import json_schema
from rotator.policies.loading import load

__all__ = ["Adapters", "Book", "PolicyError", "Table", "json_schema", "load", "stamp"]
