"""The Ledger of an SQL database, put together from its parts."""

from rotator.ledger.beginning import Beginning
from rotator.ledger.claims import Claims
from rotator.ledger.history import History
from rotator.ledger.notes import Notes
from rotator.ledger.secrets import Secrets


class SqlLedger(Secrets, Claims, History, Notes, Beginning):
    """The durable memory in a database. Its methods may be called from any thread."""

    @property
    def id(self) -> str:
        """8 hexadecimal digits, random, drawn when the ledger was made."""
        return self._id

    def close(self) -> None:
        """Let go of files and connections. May be called twice."""
        self._database.close()
