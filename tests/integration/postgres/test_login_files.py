import secrets
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import open_ledger
from rotator.wiring import SystemClock
from tests.embedded.server import Server

MOUNTED = 0o440  # what Kubernetes makes of a secret's file for a user who is not root, whatever was asked for


@pytest.fixture
def password(own_database: str, server: Server) -> tuple[str, str]:
    """A user who owns the database and needs a password, and that password."""
    user, word = f"user_{secrets.token_hex(4)}", secrets.token_hex()
    name = urlsplit(own_database).path.removeprefix("/")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{word}'".encode())
        connection.execute(f"ALTER DATABASE {name} OWNER TO {user}".encode())
        server.allow(f"local all {user} scram-sha-256")
        connection.execute("SELECT pg_reload_conf()")
    with suppress(psycopg.OperationalError):
        while True:  # the server reads its rules when it comes to it
            psycopg.connect(server.url(user=user)).close()
    return user, word


def file(folder: Path, name: str, text: str) -> Path:
    """A file as it lies in a mounted secret: a link through a link, readable by a group."""
    data = folder / "..data"
    data.mkdir(exist_ok=True)
    (data / name).write_text(text)
    (data / name).chmod(MOUNTED)
    (folder / name).symlink_to(Path("..data") / name)
    return folder / name


def test_a_service_file_holds_the_password_where_a_password_file_cannot(
    own_database: str,
    password: tuple[str, str],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password file that a group may read is ignored by libpq, a service file is not: so that one is what a
    mounted secret holds.
    """
    (user, word), name = password, urlsplit(own_database).path.removeprefix("/")
    passfile = file(tmp_path, "pgpass", f"*:*:*:*:{word}\n")
    with pytest.raises(LedgerUnusable, match=r"\[auth\]"):
        open_ledger(
            f"postgresql://{user}@/{name}?host={server.folder}&passfile={passfile}", SystemClock()
        ).close()
    lines = {"host": server.folder, "dbname": name, "user": user, "password": word}
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    monkeypatch.setenv("PGSERVICEFILE", str(file(tmp_path, "pg_service.conf", f"[rotator]\n{text}")))
    with closing(open_ledger("postgresql://?service=rotator", SystemClock())) as ledger:
        assert ledger.now()
