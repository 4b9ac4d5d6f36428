import json

from rotator.lab.figure import Figure
from rotator.lab.vault import LocalVault
from tests.acceptance.executable import GOOD, Executable
from tests.acceptance.test_submit import POLICIES


def test_what_cannot_be_reached_is_told_with_exit_code_1(rotator: Executable) -> None:
    """A provider and a store that are down are errors with what to do; no ledger is made."""
    rotator.policies(GOOD)
    answer = rotator("doctor", "--json", env={"VAULT_TOKEN": "", "NO_PROXY": "*", **AWS})
    document = json.loads(answer.out)
    assert answer.code == 1
    assert document["counts"]["error"] == 2
    assert {each["subject"] for each in document["findings"] if each["level"] == "error"} == {
        "provider build",
        "store aws",
    }
    assert all(each["todo"] for each in document["findings"] if each["level"] == "error")
    assert "Traceback" not in answer.all
    assert rotator.left() == {"rotator.yaml"}


AWS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true"}


def test_doctor_reaches_everybody_and_writes_nothing(rotator: Executable) -> None:
    """With a Vault and a provider that answer, the exit code is 0, and no secret was written or shown."""
    with LocalVault() as vault, Figure() as figure:
        vault.put("prod/client", **figure.admin)
        rotator.policies(POLICIES.format(vault=vault.url, figure=figure.url))
        answer = rotator("doctor", env={"VAULT_TOKEN": vault.root, "NO_PROXY": "*"})
        assert answer.code == 0
        assert "its credential is accepted" in answer.out
        assert "root token" in answer.out
        assert vault.number("prod/client") == 1
        assert not any(value in answer.all for value in (vault.root, figure.admin["client_secret"]))
