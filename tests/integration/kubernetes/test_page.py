import re
import shutil
from configparser import ConfigParser
from functools import reduce
from pathlib import Path

import kubernetes_validate
import yaml

from tests.docs.pages import ROOT, blocks
from tests.docs.test_blocks import lines
from tests.integration.kubernetes.manifests import FOLDER, Overlay, built, overlay
from tests.integration.kubernetes.test_manifests import VERSIONS, needs_kustomize

PAGE = ROOT / "docs" / "deploy" / "kubernetes.md"
YAML = {block.text.partition(":")[0]: block.text for block in blocks("yaml") if block.page == PAGE}
MINE, THEIRS = (
    block.text for block in blocks("yaml") if block.page == PAGE and block.text.startswith("apiVersion:")
)
TEXT = [block.text for block in blocks("text") if block.page == PAGE]
WAY = overlay("deployment-postgres")
SECRETS = "/var/run/secrets/rotator"


@needs_kustomize
def test_the_overlay_that_people_write_is_built(tmp_path: Path) -> None:
    """As it stands on the page, beside a clone, it has their image, their role and their policies."""
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copytree(FOLDER, tmp_path / "rotator" / "kubernetes")
    (mine / "kustomization.yaml").write_text(MINE)
    (mine / "rotator.yaml").write_text("version: 1\n# mine\n")
    way = Overlay("mine", built(mine))
    told = yaml.safe_load(MINE)
    (image,) = told["images"]
    assert way.container()["image"] == f"{image['newName']}:{image['newTag']}"
    assert way.one("ConfigMap")["data"] == {"rotator.yaml": "version: 1\n# mine\n"}
    assert way.one("ConfigMap")["metadata"]["name"] == "rotator-policies"
    assert "eks.amazonaws.com/role-arn" in way.one("ServiceAccount")["metadata"]["annotations"]
    login = yaml.safe_load(YAML["stores"])["stores"]["vault"]["auth"]["jwt_file"]
    path, _, name = login.rpartition("/")
    assert way.mounts()[path]["projected"]["sources"][0]["serviceAccountToken"]["path"] == name
    for one in way.objects:
        kubernetes_validate.validate(one, VERSIONS[1], strict=True)


@needs_kustomize
def test_what_may_be_restarted_is_named(tmp_path: Path) -> None:
    """As it stands on the page, the worker may patch the consumer's Deployment, and do nothing else there."""
    mine = tmp_path / "mine" / "trading"
    mine.mkdir(parents=True)
    shutil.copytree(FOLDER, tmp_path / "rotator" / "kubernetes")
    (mine / "kustomization.yaml").write_text(THEIRS)
    way = Overlay("trading", built(mine))
    role, binding = way.one("Role"), way.one("RoleBinding")
    consumers = [
        one
        for block in blocks("yaml")
        for one in (yaml.safe_load(block.text).get("consumers") or {}).values()
        if one["type"] == "kubernetes"
    ]
    assert {one["namespace"] for one in consumers} == {one["metadata"]["namespace"] for one in way.objects}
    assert role["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": [one["deployment"] for one in consumers],
            "verbs": ["patch"],
        }
    ]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }
    account = WAY.one("ServiceAccount")["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "rotator"}]
    for one in way.objects:
        kubernetes_validate.validate(one, VERSIONS[1], strict=True)


def test_the_secret_has_the_files_that_a_worker_reads() -> None:
    """Each file that a variable or the service file names below the secret's folder is put into it."""
    service = ConfigParser()
    service.read_string(TEXT[0])
    assert WAY.variables()["ROTATOR_LEDGER"].endswith(f"?service={service.sections()[0]}")
    paths = [*WAY.variables().values(), *service[service.sections()[0]].values()]
    read = {path.removeprefix(f"{SECRETS}/") for path in paths if path.startswith(SECRETS)}
    (create,) = [
        line.words for line in lines() if line.words[:4] == ("kubectl", "create", "secret", "generic")
    ]
    put = {create[at + 1] for at, word in enumerate(create) if word == "--from-file"}
    assert create[4] == WAY.mounts()[SECRETS]["secret"]["secretName"]
    assert put == read


def test_the_oldest_release_that_is_promised_is_judged_by() -> None:
    """The page names the release whose schemas every object is held against."""
    assert re.findall(r"Kubernetes (1\.\d+)\s+or later", PAGE.read_text()) == [VERSIONS[0]]


def test_a_job_of_ones_own_changes_what_is_there() -> None:
    """The place that the page's patch replaces holds the command of a Job that the CronJob makes."""
    (found,) = re.findall(r'"path": "([^"]+)"', PAGE.read_text())
    job = overlay("cronjob").one("CronJob")["spec"]["jobTemplate"]
    steps = [int(step) if step.isdigit() else step for step in found.strip("/").split("/")]
    assert reduce(lambda node, step: node[step], steps, job) == ["tick"]
