"""The baseline: rotation in four steps, as Secrets Manager has a Lambda function do it, written anew.

Secrets Manager calls the function once for each step with the secret and a token, and each call begins with
a DescribeSecret that tells whether the version still waits (AWS Secrets Manager user guide, "Rotation by
Lambda function"). Published functions make a boto3 client in each call; ``client`` decides about that here.
"""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import boto3
import httpx
from botocore.exceptions import ClientError

from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.wiring import SystemClock
from tests.bench.fleet import Run
from tests.bench.outside import REGION, SCOPES, Held, Outside, admin_secret

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
Client = Callable[[], Any]


class Function:
    """One rotation function: what Secrets Manager calls, and the provider that issues keys."""

    def __init__(self, client: Client, http: httpx.Client, outside: Outside) -> None:
        self._client = client
        self._http = http
        self._outside = outside

    def invoke(self, secret: str, account: int, token: str, step: str) -> None:
        """One of the four calls. Raises ValueError for a version that is not waiting."""
        client = self._client()
        stages = client.describe_secret(SecretId=secret)["VersionIdsToStages"].get(token, [])
        if step != "createSecret" and "AWSCURRENT" in stages:
            return
        if step != "createSecret" and "AWSPENDING" not in stages:
            raise ValueError(f"{secret} has no pending version {token}")
        match step:
            case "createSecret":
                self._create(client, secret, account, token)
            case "setSecret":
                self._set(client, secret, token)
            case "testSecret":
                self._test(client, secret, account, token)
            case "finishSecret":
                self._finish(client, secret, token)

    def _create(self, client: Any, secret: str, account: int, token: str) -> None:
        """Unless the version is there already: have a key issued, and write it as AWSPENDING."""
        current = _fields(client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT"))
        try:
            client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            admin = _fields(client.get_secret_value(SecretId=admin_secret(account)))
            issued = self._ask("POST", account, "/v1/keys", admin, {"label": token, "scopes": list(SCOPES)})
            fresh = {
                "key_id": issued["id"],
                "api_key": issued["api_key"],
                "api_secret": issued["api_secret"],
            }
            client.put_secret_value(
                SecretId=secret,
                ClientRequestToken=token,
                SecretString=json.dumps({**current, **fresh}),
                VersionStages=["AWSPENDING"],
            )

    def _set(self, client: Any, secret: str, token: str) -> None:
        """The provider knows the key since it issued it; what is written is looked at, as is usual here."""
        pending = client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        if not _fields(pending).get("api_key"):
            raise ValueError(f"{secret} has no key in its pending version")

    def _test(self, client: Any, secret: str, account: int, token: str) -> None:
        """One request with the pending key."""
        pending = client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        self._ask("GET", account, "/v1/accounts?limit=1", _fields(pending))

    def _finish(self, client: Any, secret: str, token: str) -> None:
        """Move AWSCURRENT."""
        versions = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
        current = next((version for version, stages in versions.items() if "AWSCURRENT" in stages), None)
        client.update_secret_version_stage(
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=token,
            RemoveFromVersionId=current,
        )

    def _ask(
        self, method: str, account: int, path: str, pair: Mapping[str, str], body: object = None
    ) -> Mapping[str, Any]:
        answer = self._http.request(
            method,
            self._outside.accounts[account] + path,
            headers={"X-API-Key": pair["api_key"], "X-API-Secret": pair["api_secret"]},
            json=body,
        )
        answer.raise_for_status()
        told: Mapping[str, Any] = answer.json()
        return told


def _fields(version: Mapping[str, Any]) -> dict[str, str]:
    fields: dict[str, str] = json.loads(version["SecretString"])
    return fields


def rotate(outside: Outside, *, over_http: bool, client_each_time: bool = False, threads: int = 16) -> Run:
    """Rotate every key by four calls each, side by side."""
    service = None
    if not over_http:
        service = FakeSecretsManager(SystemClock(), region=REGION)
        outside.furnish(service)
        service._latency = outside.size.store_latency
    session = boto3.Session("testing", "testing")

    def made() -> Any:
        return session.client("secretsmanager", region_name=REGION, endpoint_url=outside.store_url)

    kept = made()
    in_memory = _Raising(service.client(), kept) if service else None
    client: Client = made if client_each_time else lambda: in_memory or kept
    with httpx.Client(trust_env=False) as http, ThreadPoolExecutor(threads) as pool:
        function = Function(client, http, outside)

        def one(held: Held) -> None:
            token = str(uuid4())
            for step in STEPS:
                function.invoke(held.secret, held.account, token, step)

        began, cpu = time.monotonic(), time.process_time()
        list(pool.map(one, outside.held))
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
    kept.close()
    calls = outside.calls()
    store_calls = dict(service.calls) if service else calls["store"]
    latency = outside.size.store_latency * sum(store_calls.values())
    latency += outside.size.provider_latency * sum(calls["provider"].values())
    return Run(len(outside.held), store_calls, calls["provider"], 0, 0, cpu, wall, threads, latency)


class _Raising:
    """The client in memory, with the one exception class that is caught; it raises ClientErrors as boto3."""

    def __init__(self, client: Any, real: Any) -> None:
        self._client = client
        self.exceptions = real.exceptions

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self._client, method)

        def sorted_out(**request: Any) -> Any:
            try:
                return call(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
                raise self.exceptions.ResourceNotFoundException(error.response, method) from None

        return sorted_out
