"""What the worker's token must be allowed, declared once and written as a Vault policy."""

from collections.abc import Iterable, Mapping

from rotator.stores.vault_settings import PENDING

# Path below the mount ({secret}: each rotated secret and each admin secret), and its capabilities.
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "config": ("read",),
    "data/{secret}": ("create", "read", "update"),
    "metadata/{secret}": ("read",),
    f"data/{PENDING}/*": ("create", "read", "update"),
    f"metadata/{PENDING}/*": ("delete", "list", "read"),
    f"destroy/{PENDING}/*": ("update",),
}
DESTROY_RIGHTS: Mapping[str, tuple[str, ...]] = {"destroy/{secret}": ("update",)}  # with ``destroy_old``
TOKEN_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "auth/token/lookup-self": ("read",),
    "auth/token/renew-self": ("update",),
    "auth/token/revoke-self": ("update",),
}  # of the token itself; Vault's policy ``default`` has them


def policy(mount: str, secrets: Iterable[str], *, destroy_old: bool = False) -> str:
    """A Vault policy (HCL) with exactly what is needed for these secrets, and nothing else."""
    below = {**RIGHTS, **(DESTROY_RIGHTS if destroy_old else {})}
    listed = list(secrets)
    paths: dict[str, tuple[str, ...]] = {}
    for path, capabilities in below.items():
        for secret in listed if "{secret}" in path else [""]:
            paths[f"{mount}/{path.replace('{secret}', secret)}"] = capabilities
    return "\n".join(_rule(path, capabilities) for path, capabilities in {**paths, **TOKEN_RIGHTS}.items())


def _rule(path: str, capabilities: Iterable[str]) -> str:
    quoted = ", ".join(f'"{capability}"' for capability in capabilities)
    return f'path "{path}" {{\n  capabilities = [{quoted}]\n}}\n'
