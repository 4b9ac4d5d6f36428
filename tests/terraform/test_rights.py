"""What the module ``iam`` allows, as Terraform evaluates it, beside what the adapters declare."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from rotator.ledger import dynamodb
from rotator.model import StoreRef
from rotator.policies import Book, load
from rotator.stores.aws_settings import TYPE, place
from tests.docs.pages import ROOT
from tests.terraform.tool import MODULES, WrongError, needs_terraform, planned, run

RIGHTS = MODULES / "iam" / "rights"
ACCOUNT, ELSEWHERE = "123456789012", "111122223333"
ROLE = f"arn:aws:iam::{ELSEWHERE}:role/rotator"
CLUSTER = f"arn:aws:ecs:us-east-1:{ELSEWHERE}:cluster/desk"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/rotator"
AUDIT_KEY = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:rotator/audit-key-AbCdEf"
USER = f"arn:aws:rds-db:eu-west-1:{ACCOUNT}:dbuser:db-ABC/rotator"
KEY, REPLICA_KEY = (
    f"arn:aws:kms:{region}:{ACCOUNT}:key/{'0' * 8}" for region in ("eu-west-1", "eu-central-1")
)

MAIN = f"""
version: 1
stores:
  aws: {{type: aws-secrets-manager, region: eu-west-1}}
  trading:
    type: aws-secrets-manager
    region: us-east-1
    role_arn: {ROLE}
  vault: {{type: vault-kv2, url: "https://vault.example.com", auth: {{method: token}}}}
providers:
  build:
    type: buildmarkets
    base_url: https://buildmarkets.example.com
    admin: {{store: aws, secret: rotator/buildmarkets-admin}}
  figure: {{type: figure, base_url: "https://figure.example.com"}}
consumers:
  bus: {{type: eventbridge, region: eu-west-1, bus: keys}}
  maker: {{type: ecs, region: eu-west-1, cluster: trading, service: maker}}
  theirs: {{type: ecs, region: us-east-1, cluster: "{CLUSTER}", service: theirs, role_arn: "{ROLE}"}}
  hook: {{type: webhook, url: "https://desk.example.com", signing: {{store: aws, secret: rotator/signing}}}}
  pods: {{type: kubernetes, namespace: trading, deployment: maker}}
defaults: {{every: 30d, store: aws, provider: build, grace: 1h, consumers: [bus, maker, theirs, hook, pods]}}
notify:
  channels:
    desk: {{secret: {{store: aws, secret: rotator/notify/desk}}}}
    other: {{secret: {{store: vault, secret: rotator/notify/other}}, template: "{{text}}"}}
  otherwise: [desk, other]
policies:
  - {{name: maker, secret: prod/maker, key: {{scopes: [accounts:read]}}}}
  - {{name: in-vault, store: vault, secret: prod/hidden, key: {{scopes: [accounts:read]}}}}
  - name: by-arn
    store: trading
    secret: arn:aws:secretsmanager:eu-west-1:{ELSEWHERE}:secret:prod/by-arn-AbCdEf
    key: {{scopes: [accounts:read]}}
"""
MORE = """
policies:
  - {name: client, provider: figure, kind: client, secret: prod/client}
  - name: token
    provider: figure
    kind: access-token
    secret: prod/token
    from: {store: aws, secret: prod/client}
"""

DECLARED: Mapping[str, tuple[str, ...]] = {  # what code declares, and the statements that give it
    "rotator.stores.aws_secrets_manager.RIGHTS": ("Rotate", "UseKeys"),
    "rotator.stores.aws_secrets_manager.READING": ("Read", "ReadKeys"),
    "rotator.stores.aws_secrets_manager.REPLICA_RIGHTS": ("ReadReplicas", "UseReplicaKeys"),
    "rotator.stores.aws_secrets_manager.ROLE_RIGHTS": ("AssumeRoles",),
    "rotator.consumers.eventbridge.RIGHTS": ("TellBuses",),
    "rotator.consumers.ecs.RIGHTS": ("TellServices",),
    "rotator.ledger.dynamodb.RIGHTS": ("KeepLedger",),
    "rotator.ledger.dynamodb.INDEX_RIGHTS": ("AskLedger",),
    "rotator.ledger.login.RIGHTS": ("LogIntoLedger",),
    "rotator.ledger.kept_key.RIGHTS": ("ReadAuditKey", "UseAuditKeysKey"),
}
IN_THE_FILE: Mapping[str, tuple[str, ...]] = {  # the same, by the names in actions.tf
    "rotator.stores.aws_secrets_manager.RIGHTS": ("rotating", "key_of_rotated"),
    "rotator.stores.aws_secrets_manager.READING": ("reading", "key_of_read"),
    "rotator.stores.aws_secrets_manager.REPLICA_RIGHTS": ("reading_replica", "key_of_read"),
    "rotator.stores.aws_secrets_manager.ROLE_RIGHTS": ("assuming",),
    "rotator.consumers.eventbridge.RIGHTS": ("telling_bus",),
    "rotator.consumers.ecs.RIGHTS": ("telling_service",),
    "rotator.ledger.dynamodb.RIGHTS": ("keeping",),
    "rotator.ledger.dynamodb.INDEX_RIGHTS": ("asking_index",),
    "rotator.ledger.login.RIGHTS": ("logging_in",),
    "rotator.ledger.kept_key.RIGHTS": ("reading_audit_key", "key_of_read"),
}
_ACTION = re.compile(r"[a-z][a-z0-9-]*:[A-Z][A-Za-z]+|rds-db:connect")  # which AWS alone writes small


@cache
def declared() -> dict[str, set[str]]:
    """Every set of IAM's actions that stands in rotator's source, by its full name."""
    return dict(_declared())


def _declared() -> Iterator[tuple[str, set[str]]]:
    for path in sorted(ROOT.glob("rotator/**/*.py")) + sorted(ROOT.glob("jobs/*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found = {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
                actions = {one for one in found if isinstance(one, str) and _ACTION.fullmatch(one)}
                if actions and node.targets[0].id.isupper() and actions == found:
                    yield f"{module}.{node.targets[0].id}", actions


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A folder of policies."""
    folder = tmp_path / "policies"
    folder.mkdir(mode=0o700)
    for name, text in {"rotator.yaml": MAIN, "figure.yaml": MORE, ".draft.yaml": "policies: [{}]"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder


STORES = {
    "aws": {
        "kms_key_arns": [KEY],
        "replica_regions": ["eu-central-1"],
        "replica_kms_key_arns": [REPLICA_KEY],
        "still_owed": ["prod/former"],
    }
}


def given(policies: Path, **more: object) -> dict[str, object]:
    """The module's variables."""
    ledger = {"table_arns": [TABLE], "database_user_arns": [USER]}
    audit_key = {"secret_arn": AUDIT_KEY, "kms_key_arns": [KEY]}
    own = {"account_id": ACCOUNT, "stores": STORES, "ledger": ledger, "audit_key": audit_key}
    return {"policies": str(policies), **own, **more}


def statements(documents: list[str]) -> dict[str, dict[str, Any]]:
    """Every statement of a holder, by its Sid; of several with one Sid the resources together."""
    found: dict[str, dict[str, Any]] = {}
    for document in documents:
        for one in json.loads(document)["Statement"]:
            assert one["Effect"] == "Allow"
            same = found.setdefault(one["Sid"], {**one, "Resource": []})
            assert same["Action"] == one["Action"]
            same["Resource"] += one["Resource"]
    return found


def pattern(store: StoreRef, secret: str) -> str:
    """How IAM names a secret, as far as the adapter knows where it is."""
    where = place(store.settings["region"], secret)
    role = store.settings.get("role_arn")
    account = where.account or (role.split(":")[4] if role else ACCOUNT)
    exact = (
        secret if where.account else f"arn:aws:secretsmanager:{where.region}:{account}:secret:{secret}-??????"
    )
    return str(exact)


def expected(book: Book, role: str | None) -> tuple[set[str], set[str]]:
    """The secrets of a holder: those that are rotated, and those that are only read."""
    rotated, read = set(), set()
    for policy in book.policies:
        admin = policy.provider.admin
        if policy.target.store.type == TYPE and policy.target.store.settings.get("role_arn") == role:
            rotated.add(pattern(policy.target.store, policy.target.secret))
        if admin and admin.store.type == TYPE and admin.store.settings.get("role_arn") == role:
            read.add(pattern(admin.store, admin.secret))
        for kept in (ref.signing for ref in policy.consumers if ref.signing):
            if kept.store.settings.get("role_arn") == role:
                read.add(pattern(kept.store, kept.secret))
    for channel in book.notices.channels.values():
        if channel.store.type == TYPE and channel.store.settings.get("role_arn") == role:
            read.add(pattern(channel.store, channel.secret))
    return rotated, read - rotated


def test_every_declared_right_is_compared() -> None:
    """An adapter that declares rights of AWS is compared with the module, whoever wrote it."""
    assert set(declared()) == set(DECLARED) == set(IN_THE_FILE)


@pytest.mark.parametrize("name", DECLARED)
def test_the_file_names_what_is_declared(name: str) -> None:
    """The lists of the module are the sets in code, one by one, also where there is no Terraform."""
    with (RIGHTS / "actions.tf").open() as file:
        named = hcl2.load(file)["locals"][0]
    found = {action.strip('"') for part in IN_THE_FILE[name] for action in named[part]}
    assert found == declared()[name]


def test_no_action_stands_elsewhere_in_the_module() -> None:
    """Whoever reads the list of actions has read all of them."""
    for path in RIGHTS.glob("*.tf"):
        found = set(re.findall(r'"([a-z0-9-]+:[A-Z][A-Za-z]+)"', path.read_text())) - {"kms:ViaService"}
        allowed = {"secretsmanager:VersionStage", "secretsmanager:GetSecretValue"}  # of consumers
        assert path.name == "actions.tf" or found <= allowed


@needs_terraform
def test_what_is_allowed_is_what_is_declared(policies: Path, tmp_path: Path) -> None:
    """Each statement allows exactly what code declares for it, and there is no statement besides."""
    found = statements(planned(RIGHTS, tmp_path, given(policies))["worker"])
    actions = {sid: set(one["Action"]) for sid, one in found.items()}
    assert set(actions) | {"ReadKeys"} == {sid for sids in DECLARED.values() for sid in sids}
    actions["ReadKeys"] = actions["UseKeys"] & {"kms:Decrypt"}  # keys are shared with what is rotated
    for name, sids in DECLARED.items():
        assert set().union(*(actions[sid] for sid in sids)) == declared()[name]


@needs_terraform
def test_exactly_the_secrets_of_the_policies_are_named(policies: Path, tmp_path: Path) -> None:
    """Rotated are the secrets that the worker's own reading of the files finds, read what they depend on."""
    book, told = load(policies), planned(RIGHTS, tmp_path, given(policies, stores={}))
    assert [*told["roles"]] == [ROLE]
    for role, documents in {None: told["worker"], ROLE: told["roles"][ROLE]}.items():
        found = statements(documents)
        named = tuple(set(found.get(sid, {}).get("Resource", ())) for sid in ("Rotate", "Read"))
        assert named == expected(book, role)
    assert told["secrets"]["maker"] == f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:prod/maker-??????"
    assert set(told["secrets"]) == {"maker", "by-arn", "client", "token"}


@needs_terraform
def test_each_right_is_on_its_own_resource(policies: Path, tmp_path: Path) -> None:
    """Keys through Secrets Manager alone, replicas in their regions, owed secrets too."""
    found = statements(planned(RIGHTS, tmp_path, given(policies))["worker"])
    owed = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:prod/former-??????"
    assert owed in found["Rotate"]["Resource"]
    assert set(found["ReadReplicas"]["Resource"]) == {
        arn.replace("eu-west-1", "eu-central-1") for arn in found["Rotate"]["Resource"]
    }
    for sid, key in {"UseKeys": KEY, "UseReplicaKeys": REPLICA_KEY}.items():
        assert found[sid]["Resource"] == [key]
        through = f"secretsmanager.{key.split(':')[3]}.amazonaws.com"
        assert found[sid]["Condition"] == {"StringEquals": {"kms:ViaService": [through]}}
    assert found["AssumeRoles"]["Resource"] == [ROLE]
    assert found["KeepLedger"]["Resource"] == [TABLE]
    assert set(found["AskLedger"]["Resource"]) == {
        f"{TABLE}/index/{index['IndexName']}" for index in dynamodb.TABLE["GlobalSecondaryIndexes"]
    }
    assert found["LogIntoLedger"]["Resource"] == [USER]
    assert found["ReadAuditKey"]["Resource"] == [AUDIT_KEY]


@needs_terraform
def test_each_consumer_may_be_told_and_no_other(policies: Path, tmp_path: Path) -> None:
    """Events go onto the buses that are named, the services that are named are restarted, by who does it."""
    told = planned(RIGHTS, tmp_path, given(policies))
    ours, theirs = (statements(documents) for documents in (told["worker"], told["roles"][ROLE]))
    assert ours["TellBuses"]["Resource"] == [f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/keys"]
    assert ours["TellServices"]["Resource"] == [f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/trading/maker"]
    assert theirs["TellServices"]["Resource"] == [f"arn:aws:ecs:us-east-1:{ELSEWHERE}:service/desk/theirs"]
    assert "TellBuses" not in theirs


@needs_terraform
def test_consumers_read_what_is_current(policies: Path, tmp_path: Path) -> None:
    """Who reads a secret may read AWSCURRENT, never a version that is not verified, and no other secret."""
    told = planned(RIGHTS, tmp_path, given(policies))
    read, keys = json.loads(told["consumers"]["maker"])["Statement"]
    assert read["Action"] == ["secretsmanager:GetSecretValue"]
    assert read["Resource"] == [told["secrets"]["maker"]]
    assert read["Condition"] == {"ForAnyValue:StringEquals": {"secretsmanager:VersionStage": ["AWSCURRENT"]}}
    assert (keys["Action"], keys["Resource"]) == (["kms:Decrypt"], [KEY])


@needs_terraform
def test_many_secrets_fit_into_several_documents(tmp_path: Path) -> None:
    """A fleet is split so that IAM takes each document, and loses no secret by it; one file is enough."""
    names = [f"prod/{'desk-' * 12}{number}" for number in range(150)]
    file = tmp_path / "rotator.yaml"
    more = "".join(f"  - {{name: p{at}, secret: {name}}}\n" for at, name in enumerate(names))
    file.write_text(MAIN + more)
    told = planned(RIGHTS, tmp_path, given(file))
    assert len(told["worker"]) > 10
    assert max(map(len, told["worker"])) <= 6144
    assert len(set(statements(told["worker"])["Rotate"]["Resource"])) == len(names) + 2


@needs_terraform
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"policies": "/nowhere"}, "There is no policy file there"),
        ({"stores": {"vault": {}}}, "A name is not that of a store"),
        ({"account_id": "me"}, "twelve digits"),
    ],
)
def test_what_is_given_wrong_is_said(
    policies: Path, tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    """A mistake is refused while Terraform plans, with a sentence of ours."""
    with pytest.raises(WrongError, match=said):
        planned(RIGHTS, tmp_path, given(policies) | wrong)


@needs_terraform
def test_a_profile_is_refused(policies: Path, tmp_path: Path) -> None:
    """No task or function has an AWS profile: rights for it would be given to nobody."""
    main = policies / "rotator.yaml"
    main.write_text(MAIN.replace(f"role_arn: {ROLE}", "profile: research"))
    with pytest.raises(WrongError, match="A store or consumer names a profile"):
        planned(RIGHTS, tmp_path, given(policies))


@needs_terraform
def test_a_table_may_be_made_in_the_same_run(policies: Path, tmp_path: Path) -> None:
    """How many documents there are is known while the ARNs of a table and a key are not yet."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.tf").write_text(
        f"""
        resource "terraform_data" "later" {{ input = "arn:aws:kms:eu-west-1:{ACCOUNT}:key/later" }}
        module "rights" {{
          source     = "{RIGHTS}"
          policies   = "{policies}"
          account_id = "{ACCOUNT}"
          ledger     = {{ table_arns = [terraform_data.later.output] }}
          stores     = {{ aws = {{ kms_key_arns = [terraform_data.later.output] }} }}
        }}
        resource "terraform_data" "each" {{ count = length(module.rights.worker) }}
        output "number" {{ value = length(terraform_data.each) }}
        """
    )
    run(root, tmp_path, "init", "-backend=false", "-input=false", "-no-color")
    assert planned(root, tmp_path, {})["number"] == 2
