"""Records that the ledger keeps, facts among them, as JSON and back, exactly.

A record is written only if what would be read back equals it. So a tuple or a date inside a mapping of
settings is refused when it is written, not noticed a week later; and a credential cannot be written at all.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from rotator.errors import LedgerUnusable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """One kind of record. ``name`` is for messages."""

    name: str
    adapter: TypeAdapter[T]

    def encode(self, record: T) -> str:
        """The record as JSON. Raises TypeError for what JSON cannot hold exactly, a credential above all."""
        try:
            text = self.adapter.dump_json(record, warnings="error")
            same = self.adapter.validate_json(text, strict=True) == record
        except (PydanticSerializationError, ValidationError, TypeError, ValueError):
            same = False
        if not same:
            raise TypeError(
                f"This {self.name} holds a value that the ledger cannot write and read back unchanged: "
                "settings are made of text, numbers, booleans, null, lists and mappings; never of "
                "credentials, tuples, dates or sets."
            ) from None
        return text.decode()

    def decode(self, text: str) -> T:
        """The record that was written. Raises LedgerUnusable for anything else."""
        try:
            return self.adapter.validate_json(text, strict=True)
        except ValidationError as error:
            where = ", ".join(".".join(str(part) for part in e["loc"]) for e in error.errors()[:3])
        raise LedgerUnusable(
            f"A record of kind {self.name} in the ledger cannot be read (at: {where or 'its beginning'}). "
            "It was changed by hand or by another program, or is damaged: stop rotator, keep the ledger "
            "aside, and restore its last backup; then let rotator reconcile before it revokes anything. "
            "[record]"
        )
