import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from jobs import daemon, tick
from rotator.consumers.kubernetes import DeploymentSettings
from rotator.interfaces import EFFECT_SECONDS
from rotator.ledger.dynamodb import address
from rotator.policies import load
from tests.docs.pages import column
from tests.docs.test_blocks import parsed
from tests.docs.test_pages import OPERATIONS
from tests.integration.image.dockerfile import stages
from tests.integration.kubernetes.manifests import (
    FOLDER,
    NAME,
    OVERLAYS,
    Document,
    Overlay,
    built,
    documents,
    kustomization,
    kustomize,
    named,
    overlay,
)

VERSIONS = ("1.30", "1.37")  # the oldest and the newest that are promised
CUSTOM = ("Kustomization", "Component")
HERE = {folder.name: folder for folder in FOLDER.iterdir()}
EFFECT = timedelta(seconds=EFFECT_SECONDS)
IMAGE = stages()[-1]
PRIVATE = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

needs_kustomize = pytest.mark.skipif(kustomize() is None, reason="there is no `kubectl` on PATH")
each = pytest.mark.parametrize("way", [overlay(name) for name in OVERLAYS], ids=lambda way: way.name)
deployed, timed = overlay("deployment-postgres"), overlay("cronjob")


def objects() -> list[Any]:
    """Every object of every file but those that kustomize itself reads."""
    found = [
        pytest.param(one, id=f"{path.relative_to(FOLDER)}:{one['kind']}")
        for path in sorted(FOLDER.rglob("*.yaml"))
        for one in documents(path)
        if isinstance(one, dict) and "kind" in one and one["kind"] not in CUSTOM
    ]
    assert len(found) > 5
    return found


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", objects())
def test_every_object_fits_its_official_schema(one: Document, version: str) -> None:
    """Each file's objects have the fields that Kubernetes knows, and no other."""
    kubernetes_validate.validate(one, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    """The schemas are the strict ones."""
    wrong = {**deployed.one("Deployment"), "spec": {**deployed.one("Deployment")["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", HERE.values(), ids=HERE)
def test_every_file_is_part_of_its_folder(folder: Path) -> None:
    """A kustomization names files that are there, and every file is named."""
    assert named(folder) == set(folder.rglob("*.yaml"))
    assert kustomization(folder)["kind"] in CUSTOM


@needs_kustomize
@each
def test_kustomize_makes_the_same_of_it(way: Overlay) -> None:
    """Kustomize adds the namespace and labels, and the policies as a ConfigMap whose name stays; so the other
    tests hold for what is applied.
    """
    made = {(one["kind"], one["metadata"]["name"]): one for one in built(FOLDER / way.name)}
    policies = made.pop(("ConfigMap", "rotator-policies"))
    assert policies["data"].keys() == {"rotator.yaml"}
    assert {key: one.get("spec") for key, one in made.items()} == {
        (one["kind"], one["metadata"]["name"]): one.get("spec") for one in way.objects
    }
    assert {one["metadata"].get("namespace") for key, one in made.items() if key[0] != "Namespace"} == {
        "rotator"
    }
    for one in (*made.values(), policies):
        assert one["metadata"]["labels"].items() >= NAME.items()
        kubernetes_validate.validate(one, VERSIONS[1], strict=True)


def with_component(name: str, component: str, folder: Path) -> Overlay:
    """An overlay with a component, as people combine them."""
    mine = folder / "mine"
    mine.mkdir()
    (folder / "kubernetes").symlink_to(FOLDER)
    (mine / "kustomization.yaml").write_text(
        f"resources: [../kubernetes/{name}]\ncomponents: [../kubernetes/{component}]\n"
    )
    way = Overlay(name, built(mine))
    for one in way.objects:
        kubernetes_validate.validate(one, VERSIONS[1], strict=True)
    return way


@needs_kustomize
@pytest.mark.parametrize("name", OVERLAYS)
def test_vault_is_logged_in_to_with_a_token_for_it_alone(name: str, tmp_path: Path) -> None:
    """With the component a pod has a short-lived token whose audience is Vault, not where a client of the
    cluster's API would look for one, and a way to Vault.
    """
    way = with_component(name, "vault", tmp_path)
    (source,) = way.mounts()["/var/run/secrets/vault"]["projected"]["sources"]
    assert source == {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}
    (opened,) = [one["spec"] for one in way.all("NetworkPolicy") if one["metadata"]["name"] == "vault"]
    assert [port["port"] for rule in opened["egress"] for port in rule["ports"]] == [8200]


@needs_kustomize
@pytest.mark.parametrize("name", OVERLAYS)
def test_deployments_are_restarted_with_a_token_of_the_cluster(name: str, tmp_path: Path) -> None:
    """With the component a pod has a token that is renewed, and the authority, where the consumer looks for
    them, and a way to the port on which API servers listen behind their service.
    """
    way = with_component(name, "restarts", tmp_path)
    wanted = DeploymentSettings(namespace="trading", deployment="maker")
    token, ca = Path(wanted.token_file), Path(wanted.ca_file)
    assert token.parent == ca.parent
    given, authority = way.mounts()[str(token.parent)]["projected"]["sources"]
    assert given == {"serviceAccountToken": {"path": token.name, "expirationSeconds": 3600}}
    assert authority == {
        "configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": ca.name}]}
    }
    (opened,) = [one["spec"] for one in way.all("NetworkPolicy") if one["metadata"]["name"] == "restarts"]
    assert opened["podSelector"]["matchLabels"] == NAME
    (rule,) = opened["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 6443}]
    assert {one["ipBlock"]["cidr"] for one in rule["to"]} == PRIVATE


def test_whoever_names_no_deployment_allows_none() -> None:
    """A list of names that is empty would allow all of them: the one to be replaced is of nothing."""
    role, _ = documents(FOLDER / "restarted" / "role.yaml")
    assert [rule["resourceNames"] for rule in role["rules"]] == [["yours-take-the-place-of-this"]]


@needs_kustomize
def test_components_fit_together(tmp_path: Path) -> None:
    """A pod may have Vault's token, the cluster's and a ledger in DynamoDB at once."""
    way = with_component("cronjob", "vault, ../kubernetes/restarts, ../kubernetes/dynamodb", tmp_path)
    assert len(way.mounts()) == len(timed.mounts()) + 2
    assert len(way.all("NetworkPolicy")) == len(timed.all("NetworkPolicy")) + 2


@needs_kustomize
@pytest.mark.parametrize("name", OVERLAYS)
def test_the_ledger_may_be_in_dynamodb(name: str, tmp_path: Path) -> None:
    """With the component a pod's ledger is a table, and nothing else of the pod is another."""
    told = with_component(name, "dynamodb", tmp_path).variables()
    assert address.parsed(told.pop("ROTATOR_LEDGER")).table == "rotator"
    assert told.items() == overlay(name).variables().items() - {
        pair for pair in overlay(name).variables().items() if pair[0] in ("ROTATOR_LEDGER", "PGSERVICEFILE")
    }


# --- pods -------------------------------------------------------------------------------------------------


@each
def test_pods_are_as_restricted_as_kubernetes_can_say(way: Overlay) -> None:
    """The namespace enforces the profile `restricted`, pods keep to it, and their root is read-only."""
    labels = way.one("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod, container = way.pod(), way.container()
    (image_user,) = IMAGE.texts("USER")
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(image_user.partition(":")[0]),
        "runAsGroup": int(image_user.partition(":")[2]),
        "fsGroup": int(image_user.partition(":")[2]),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert container["resources"]["limits"].keys() >= {"memory", "ephemeral-storage"}


@each
def test_pods_have_no_token_of_the_cluster(way: Overlay) -> None:
    """The worker asks nothing of the cluster's API, so it is given nothing to ask with."""
    account = way.one("ServiceAccount")
    assert way.pod()["serviceAccountName"] == account["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False
    assert way.pod()["automountServiceAccountToken"] is False


@each
def test_paths_are_those_of_the_image(way: Overlay) -> None:
    """Policies, state and secrets are mounted where the image and the variables say; only the state can be
    written, and no value of a secret is in a variable.
    """
    image, mounts = IMAGE.environment(), way.mounts()
    assert "configMap" in mounts[image["ROTATOR_POLICIES"]]
    assert "emptyDir" in mounts[f"{image['XDG_STATE_HOME']}/rotator"]
    assert IMAGE.texts("WORKDIR") == [f"{image['XDG_STATE_HOME']}/rotator"]
    secret = next(path for path, volume in mounts.items() if "secret" in volume)
    told = way.variables()
    assert {told["PGSERVICEFILE"], told["ROTATOR_AUDIT_KEY_FILE"]} == {
        f"{secret}/pg_service.conf",
        f"{secret}/audit-key",
    }
    assert told["ROTATOR_AUDIT_ANCHOR"].startswith(f"{image['XDG_STATE_HOME']}/rotator/")
    assert told["ROTATOR_LEDGER"] == "postgresql://?service=rotator"
    writable = [one for one in way.container()["volumeMounts"] if not one.get("readOnly")]
    assert [one["name"] for one in writable] == ["state"]
    assert {name for name in told if name.startswith("ROTATOR_")} <= set(column(OPERATIONS, "variable"))


@each
def test_commands_are_those_of_the_program(way: Overlay) -> None:
    """What a pod starts and what a probe asks exists."""
    container = way.container()
    assert container["args"] == [{"deployment-postgres": "daemon", "cronjob": "tick"}[way.name]]
    parsed(tuple(container["args"]))
    for probe in (name for name in container if name.endswith("Probe")):
        program, *words = container[probe]["exec"]["command"]
        assert program == shlex.split(IMAGE.texts("ENTRYPOINT")[0].strip("[]"))[0]
        parsed(tuple(words))


@each
def test_a_pod_is_killed_only_after_the_worker_would_have_ended(way: Overlay) -> None:
    """Between SIGTERM and SIGKILL an effect ends, and the worker's own patience."""
    grace = timedelta(seconds=way.pod()["terminationGracePeriodSeconds"])
    assert grace > daemon.PATIENCE + daemon.LAST > EFFECT


def test_both_ways_run_the_same_pod() -> None:
    """They differ in the command, the probes, the spreading and what a Job must say, and in nothing else."""
    own = {"startupProbe", "livenessProbe", "readinessProbe", "args"}
    pods = [
        {
            **{
                key: value
                for key, value in way.pod().items()
                if key not in ("topologySpreadConstraints", "restartPolicy")
            },
            "containers": {key: value for key, value in way.container().items() if key not in own},
        }
        for way in (deployed, timed)
    ]
    assert pods[0] == pods[1]


# --- the Deployment ---------------------------------------------------------------------------------------


def test_one_of_two_workers_always_runs() -> None:
    """Neither a rollout nor the draining of a node takes both, and they are on different nodes."""
    spec = deployed.one("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    assert spec["selector"]["matchLabels"] == NAME
    budget = deployed.one("PodDisruptionBudget")["spec"]
    assert budget["minAvailable"] == 1
    assert budget["selector"]["matchLabels"] == NAME
    host, zone = deployed.pod()["topologySpreadConstraints"]
    assert (host["topologyKey"], host["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "ScheduleAnyway",
    )
    assert all(one["labelSelector"]["matchLabels"] == NAME for one in (host, zone))


def test_a_worker_that_hangs_is_replaced() -> None:
    """Each probe asks `rotator health`, and a start may take a minute."""
    container = deployed.container()
    assert {name for name in container if name.endswith("Probe")} == {
        "startupProbe",
        "livenessProbe",
        "readinessProbe",
    }
    first = container["startupProbe"]
    assert first["periodSeconds"] * first["failureThreshold"] >= 60


# --- the CronJob ------------------------------------------------------------------------------------------


def test_passes_do_not_overlap_and_are_not_cut_short() -> None:
    """One pass at a time; its deadline is longer than the pass's own, and a late one is still made."""
    spec = timed.one("CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert timedelta(seconds=spec["startingDeadlineSeconds"]) > EFFECT
    assert spec["jobTemplate"]["metadata"]["labels"] == NAME, "so that all jobs are found at once"
    job = spec["jobTemplate"]["spec"]
    assert timedelta(seconds=job["activeDeadlineSeconds"]) > tick.LONGEST + daemon.PATIENCE + daemon.LAST
    assert job["backoffLimit"] == 0
    assert timed.pod()["restartPolicy"] == "Never"


# --- the rest ---------------------------------------------------------------------------------------------


@each
def test_nobody_reaches_a_worker_and_it_reaches_what_it_needs(way: Overlay) -> None:
    """All is forbidden in the namespace, then names, HTTPS and PostgreSQL are allowed to go out to."""
    policies = {one["metadata"]["name"]: one["spec"] for one in way.all("NetworkPolicy")}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ours = policies["rotator"]
    assert ours["podSelector"]["matchLabels"] == NAME
    assert "ingress" not in ours
    names, https, postgres = ours["egress"]
    assert {(one["protocol"], one["port"]) for one in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert [one["port"] for one in https["ports"]] == [443]
    assert "169.254.0.0/16" in https["to"][0]["ipBlock"]["except"], "never a cloud's metadata"
    assert [one["port"] for one in postgres["ports"]] == [5432]
    assert {one["ipBlock"]["cidr"] for one in postgres["to"]} == PRIVATE


def test_the_policies_that_others_take_the_place_of_are_right(tmp_path: Path) -> None:
    """The file of the base is loaded, and has nothing in it that a worker would act upon."""
    file = tmp_path / "rotator.yaml"
    file.write_text((FOLDER / "base" / "policies" / "rotator.yaml").read_text())
    assert load(file).policies == ()
