"""The Ledger of an SQL database, put together from its parts."""

from rotator.ledger.claims import Claims
from rotator.ledger.database import Database
from rotator.ledger.history import History
from rotator.ledger.notes import Notes
from rotator.ledger.secrets import Secrets
from rotator.ledger.times import Time


class SqlLedger(Secrets, Claims, History, Notes):
    """The durable memory in a database. Its methods may be called from any thread."""

    def __init__(self, database: Database, time: Time, ledger_id: str) -> None:
        super().__init__(database, time)
        self._id = ledger_id

    @property
    def id(self) -> str:
        """8 hexadecimal digits, random, drawn when the ledger was made."""
        return self._id

    def close(self) -> None:
        """Let go of files and connections. May be called twice."""
        self._database.close()
