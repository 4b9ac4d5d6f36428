"""How a PostgreSQL ledger is reached: its address, checked, with what is true of every connection."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rotator.errors import LedgerUnusable
from rotator.ledger import passwords

RIGHTS = frozenset({"rds-db:connect"})  # on the database user, with ``aws_iam``

_IAM = "aws_iam"
_PORT = 5432


class Login:
    """An address of libpq's, and ``aws_iam=REGION`` for logins by an AWS role instead of a password.

    The server's certificate is verified wherever the address names no host of this machine, unless it says
    ``sslmode`` itself. Of several servers, the one that can be written is taken. Raises LedgerUnusable for
    an address that is none, without repeating it.
    """

    def __init__(self, url: str) -> None:
        plain, self._region = _without_iam(url)
        try:
            told: dict[str, Any] = dict(conninfo_to_dict(plain))
        except psycopg.ProgrammingError:
            raise LedgerUnusable(
                "The ledger's address is not one that PostgreSQL understands. It is like "
                "postgresql://user@host:5432/database?sslrootcert=/path/to/authority.pem [address]"
            ) from None
        passwords.must_not_be_among(told)
        host = str(told.get("host", ""))
        secure = {} if _local(host) else {"sslmode": "verify-full"}
        given = {"fallback_application_name": "rotator", "target_session_attrs": "read-write"}
        self._told = {**given, **secure, **told}
        named = "" if host.startswith("/") else passwords.shown(host)
        self.name = f"postgresql://{named}/{passwords.shown(str(told.get('dbname', '')))}"
        if self._region and not {"host", "user"} <= told.keys():
            raise LedgerUnusable(
                f"A login by an AWS role needs user and host in the ledger's address: {self.name} [address]"
            )
        self._rds: Any = None

    def settings(self) -> Mapping[str, Any]:
        """The settings of one connection; a login by a role has a fresh token, which holds for 15 minutes."""
        if not self._region:
            return self._told
        return {**self._told, "password": self._token()}

    def _token(self) -> str:
        """Signed here, with the credentials that boto3 finds (Amazon RDS User Guide, IAM authentication)."""
        from boto3.session import Session  # noqa: PLC0415 - heavy, and seldom needed
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            self._rds = self._rds or Session().client("rds", region_name=self._region)
            token: str = self._rds.generate_db_auth_token(
                self._told["host"], int(self._told.get("port", _PORT)), self._told["user"]
            )
        except (BotoCoreError, ValueError) as error:
            raise LedgerUnusable(
                f"The ledger {self.name} is not reached: AWS credentials for its login are missing or wrong "
                f"({type(error).__name__}). Give the worker a role that may rds-db:connect. [auth]"
            ) from None
        return token


def _without_iam(url: str) -> tuple[str, str]:
    """The address without what is ours, and the region that it named, or an empty text."""
    plain, mark, query = url.partition("?")
    if f"&{_IAM}=" not in f"&{query}":
        return url, ""
    pairs = query.split("&")
    regions = [pair.removeprefix(f"{_IAM}=") for pair in pairs if pair.startswith(f"{_IAM}=")]
    rest = "&".join(pair for pair in pairs if not pair.startswith(f"{_IAM}="))
    return plain + (mark + rest if rest else ""), regions[-1]


def _local(hosts: str) -> bool:
    """Whether every host is named, and is a loopback address; a Unix socket knows no TLS either way."""
    return bool(hosts) and all(host == "localhost" or _loopback(host) for host in hosts.split(","))


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
