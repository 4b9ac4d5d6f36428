"""Providers, stores and ledger compared: what is not as it should be, and what can be mended by itself."""

from collections.abc import Sequence
from datetime import datetime

from rotator.interfaces import World
from rotator.model import Policy
from rotator.reconcile.compare import compare
from rotator.reconcile.mending import doubt_found, fix, note_found
from rotator.reconcile.survey import left_behind, survey
from rotator.reconcile.trust import Lost, lost, take_over
from rotator.reconcile.values import Finding, Kind, View
from rotator.safe_mode import FACT as SAFE_MODE

__all__ = ["SAFE_MODE", "Finding", "Kind", "Lost", "View", "examine", "fix", "lost", "seen", "take_over"]


def seen(
    world: World, policies: Sequence[Policy], holder: str, *, chosen: Sequence[Policy] | None = None
) -> View:
    """The world beside the ledger, which is in safe mode afterwards where the world knows more, and has noted
    the keys that were seen where it expected others.

    ``policies`` are all that there are. With ``chosen`` those of their accounts alone are read, since any of
    them may hold a key of the list; without, the keys of policies that were deleted as well. Raises
    LedgerUnusable.
    """
    accounts = {policy.provider.principal for policy in (policies if chosen is None else chosen)}
    beside = [policy for policy in policies if policy.provider.principal in accounts]
    view = survey(world, beside, left_behind(world.ledger) if chosen is None else ())
    doubt_found(world, view, holder)
    note_found(world, view, holder)
    return view


def examine(world: World, view: View) -> list[Finding]:
    """What is found. A key whose debt was paid while its list was read is no orphan."""
    began = min((each.at for each in view.listings), default=view.records.now)
    return [one for one in compare(view) if one.kind is not Kind.ORPHAN or not _paid(world, one, began)]


def _paid(world: World, one: Finding, began: datetime) -> bool:
    debts = world.ledger.debts(one.secret, ended=True)
    return any(debt.key_id == one.key_id and debt.ended_at and debt.ended_at >= began for debt in debts)
