"""A provider breached, and keys of ours there that no policy rotates: by the command, and to its good end."""

import json
from contextlib import closing
from typing import Any

import pytest

from tests.unit.cli.conftest import POLICIES, Rig
from tests.unit.cli.test_copied import live

BREACH = ("run-now", "--provider", "build", "--revoke-now", "--reason", "provider breach", "--yes")


@pytest.fixture
def breached(rig: Rig) -> Rig:
    """``quotes`` is there; the policy of ``trades`` was deleted while an older key was in its grace."""
    head, whole = POLICIES.split("  - name: orders")[0], POLICIES.split("  - name: quotes")[1]
    trades = "  - name: trades\n" + whole.removeprefix("\n").replace("quotes", "trades")
    (rig.folder / "with.yaml").write_text(
        f"{head}  - name: quotes{whole}{trades}".format(url=rig.provider.url)
    )
    (rig.folder / "without.yaml").write_text(f"{head}  - name: quotes{whole}".format(url=rig.provider.url))
    rig.secret("prod/trades", {})
    files(rig, "with")
    rig.say("tick")
    rig.say("run-now", "trades", "--reason", "routine", "--yes")
    files(rig, "without")
    rig.say("tick")
    return rig


def files(rig: Rig, which: str) -> None:
    """Work by other policies from now on."""
    (rig.folder / "rotator.yaml").write_text((rig.folder / f"{which}.yaml").read_text())


def left(rig: Rig) -> dict[str, Any]:
    """The row of what was deleted."""
    rows = rig.say("status", "--json").json()["policies"]
    return next(row for row in rows if row["policy"] == "trades")


def test_what_a_breach_leaves_is_in_plan_report_and_exit_code(breached: Rig) -> None:
    """Keys of a policy that is gone, and the admin credential: each secret is covered, the order is not."""
    row, page = left(breached), breached.folder / "incident.html"
    expected = [row["key_id"], row["debts"][0]["key_id"], "the admin credential of build"]
    plan = breached.say(*BREACH, "--dry-run").out
    said = breached.say(*BREACH, "--html", str(page))
    assert said.code == 1
    for one in expected:
        assert one in plan.split("Not by this order: ", 1)[1]
        assert one in said.err.split("Besides: ", 1)[1]
        assert one in page.read_text()
    assert "besides, not covered" in page.read_text()
    assert "1 of 1 covered, 3 besides not." in said.out
    told = breached.say("incident", "--json")
    assert (told.code, len(told.json()["incident"]["besides"])) == (1, 3)


def test_the_same_command_ends_well_once_people_saw_to_it(breached: Rig) -> None:
    """A fresh admin credential, and the policy put back; what was in its grace the order ended itself."""
    (older,) = left(breached)["debts"]
    breached.say(*BREACH)
    breached.say("tick")
    assert left(breached)["debts"] == []
    assert not live(breached, older["key_id"])
    assert breached.say("submit", "--admin", "build", stdin=json.dumps(breached.provider.admin)).code == 0
    files(breached, "with")
    said = breached.say(*BREACH)
    assert "Going on with incident" in said.err
    assert "2 of 2 covered. Incident" in said.out
    assert said.code == 0


def test_another_command_of_that_reason_leaves_the_record_as_it_is(breached: Rig) -> None:
    """One for a policy alone is covered, and what is left beside the whole stays left."""
    breached.say(*BREACH)
    alone = breached.say("run-now", "quotes", *BREACH[3:])
    assert ("1 of 1 covered. Incident" in alone.out, alone.code) == (True, 0)
    assert "Going on with" not in alone.err
    whole = breached.say("incident", "--list", "--json").json()["incidents"][1]
    told = breached.say("incident", whole["id"], "--json")
    assert (told.code, len(told.json()["incident"]["besides"])) == (1, 3)


def test_what_was_issued_in_an_incident_is_replaced_where_it_is_too_old_by_now(breached: Rig) -> None:
    """The provider was breached for longer than was thought: none of those keys counts as done."""
    breached.say(*BREACH)
    issued = breached.say("status", "quotes", "--json").json()["policies"][0]["key_id"]
    with closing(breached.ledger()) as ledger:
        now = ledger.now().isoformat()
    breached.say(*BREACH, "--issued-before", now)
    assert not live(breached, issued)


def test_what_is_beside_is_named_also_where_every_key_is_younger(breached: Rig) -> None:
    """Of an admin credential nobody knows how old it is: that no secret is selected does not hide it."""
    breached.say(*BREACH)
    with closing(breached.ledger()) as ledger:
        (secret,) = (state.issued_at for state, _ in ledger.secrets() if state.policy == "quotes")
    assert secret is not None
    said = breached.say("run-now", "--provider", "build", "--issued-before", secret.isoformat(), "--dry-run")
    assert said.code == 2
    assert "every key is younger." in said.err
    assert "Not by this order: the admin credential of build" in said.err


def test_a_routine_order_ends_well_and_says_it_in_its_plan(breached: Rig) -> None:
    """Whose admin credential no policy rotates would else never see a rotation of everything end with 0."""
    said = breached.say("run-now", "--all", "--reason", "routine", "--yes")
    assert said.code == 0
    assert said.out.count("Not by this order: ") == 2
    assert breached.say("run-now", "--all", "--dry-run", "--json").json()["besides"]


def test_before_there_is_a_ledger_admin_credentials_are_named_too(rig: Rig) -> None:
    """The very first command may be one about a breach."""
    assert "the admin credential of build" in rig.say(*BREACH, "--dry-run").out
    said = rig.say(*BREACH)
    assert "Besides: the admin credential of build, which no policy rotates" in said.err
