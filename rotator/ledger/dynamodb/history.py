"""Rotations, attempts, debts and events, read back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from rotator.ledger.codec import DEBT, EVENT, ROTATION
from rotator.ledger.dynamodb import EVENTS, places
from rotator.ledger.dynamodb.chaining import Chained
from rotator.ledger.dynamodb.items import Item, gone
from rotator.ledger.instants import moment
from rotator.model import Debt, Event, Rotation


class History(Chained):
    """The methods of Ledger under "rotations, attempts, debts" and "events and alarms"."""

    def rotation(self, secret_id: str) -> Rotation | None:
        """The live rotation of a secret; there is at most one."""
        for _ in self._table.tries():  # a step that is just being written may be seen in part
            state = self._table.get(places.state(secret_id)) or {}
            if not state.get("live"):
                return None
            item = self._table.get((places.home(secret_id), state["live"]))
            if item is not None and item.get("live"):
                return ROTATION.decode(item["doc"])
        raise AssertionError("tries end with an error")

    def rotations(self, secret_id: str, limit: int = 20) -> Sequence[Rotation]:
        """Rotations of a secret, newest first."""
        found = self._table.within(places.home(secret_id), places.ROTATION, newest=True, most=limit)
        return [ROTATION.decode(item["doc"]) for item in islice(found, limit)]

    def attempts(self, tokens: Collection[str]) -> Mapping[str, tuple[str, str]]:
        """Those of these tokens that the ledger drew, with the secret's and the rotation's id. Read anew."""
        leads = self._table.several([places.by_token(token) for token in tokens])
        drawn = {token: leads[places.by_token(token)] for token in tokens if places.by_token(token) in leads}
        keys = {token: places.attempt(item["of"], token) for token, item in drawn.items()}
        found = self._table.several(list(keys.values()))
        rows = {token: found[key] for token, key in keys.items() if key in found}
        return {token: (row["secret"], row["rotation"]) for token, row in rows.items()}

    def debts(self, secret_id: str | None = None, *, ended: bool = False) -> Sequence[Debt]:
        """Debts that are open, of one secret or of all, oldest first; with ``ended`` the paid ones too."""
        if not ended and secret_id is not None:
            rows = self._open(secret_id)
        elif not ended:
            leads = self._table.within(places.OWED)
            found = self._table.several([places.debt(item["of"], item["debt"]) for item in leads])
            rows = [row for row in found.values() if row["open"]]
        elif secret_id is not None:
            rows = list(self._table.within(places.home(secret_id), places.DEBT))
        else:
            homes = [places.home(item["of"]) for item in self._table.within(places.ROSTER)]
            rows = [row for home in homes for row in self._table.within(home, places.DEBT)]
        rows.sort(key=lambda row: (row["since"], row["place"]))
        return [DEBT.decode(row["doc"]) for row in rows]

    def _open(self, secret_id: str) -> list[Item]:
        """The debts of a secret that are open: each that its item tells of, none left out."""
        for _ in self._table.tries():  # as above
            state = self._table.get(places.state(secret_id)) or {}
            keys = [places.debt(secret_id, debt_id) for debt_id in state.get("owed", {})]
            rows = list(self._table.several(keys).values())
            if len(rows) == len(keys) and all(row["open"] for row in rows):
                return rows
        raise AssertionError("tries end with an error")

    def debt(self, debt_id: str) -> Debt | None:
        """One debt."""
        lead = self._table.get(places.by_debt(debt_id))
        item = self._table.get(places.debt(lead["of"], debt_id)) if lead else None
        return DEBT.decode(item["doc"]) if item else None

    def events(self, secret_id: str | None = None, limit: int = 200) -> Sequence[Event]:
        """Newest first; those of all secrets as the index tells, which follows a moment later."""
        if secret_id is not None:
            found = self._table.within(places.home(secret_id), places.RECORD, newest=True, most=limit)
        else:
            values, keys = {"log": EVENTS}, "#log = :log"
            found = self._table.indexed(EVENTS, values, newest=True, most=limit, KeyConditionExpression=keys)
        return [_event(item) for item in islice((item for item in found if item["event"]), limit)]

    def untold(self, limit: int = 100) -> Sequence[Event]:
        """Alarms that have not been told, oldest first."""
        return [_event(item) for item in islice(self._table.within(places.ALARMS, most=limit), limit)]

    def told(self, seqs: Iterable[int]) -> None:
        """Mark alarms as told. May be called twice."""
        for seq in seqs:
            self._table.write(gone(places.alarm(seq)))


def _event(item: Item) -> Event:
    return replace(EVENT.decode(item["event"]), at=moment(item["at"]), seq=item["seq"])
