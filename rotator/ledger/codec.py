"""The ledger's documents: which records its tables hold."""

from pydantic import TypeAdapter

from rotator.model import Debt, Event, Order, Rotation, SecretState
from rotator.records import Codec

SECRET = Codec("secret", TypeAdapter(SecretState))
ROTATION = Codec("rotation", TypeAdapter(Rotation))
DEBT = Codec("debt", TypeAdapter(Debt))
EVENT = Codec("event", TypeAdapter(Event))
ORDER = Codec("order", TypeAdapter(Order))
