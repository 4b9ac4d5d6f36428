"""Servers that are no PostgreSQL: one between, which can lose the answer to a COMMIT, and a mute one."""

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_SOCKET = ".s.PGSQL.5432"


class Between:
    """A Unix socket in a folder of its own, before the one in ``behind``. ``lose`` may be set at any time."""

    def __init__(self, behind: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-between-", dir="/tmp"))
        self.lose = False  # the answers to COMMIT, and with them their connections
        self._behind = str(behind / _SOCKET)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / _SOCKET))
        self._listener.listen()
        self._open: list[socket.socket] = [self._listener]
        self._threads = [self._begun(self._accept)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()
        shutil.rmtree(self.folder)

    def _begun(self, work: object, *arguments: object) -> threading.Thread:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._behind)
                self._open += [client, server]
                committing = threading.Event()
                self._threads.append(self._begun(self._forth, client, server, committing))
                self._threads.append(self._begun(self._back, server, client, committing))

    def _forth(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.lose and b"COMMIT\0" in data:
                    committing.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _back(self, server: socket.socket, client: socket.socket, committing: threading.Event) -> None:
        """Hand answers on; that to a lost COMMIT is waited for, so that it is done, and then cut off."""
        with suppress(OSError):
            while data := server.recv(65536):
                if committing.is_set():
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


class Mute:
    """A port on this machine that answers each connection's first bytes with ``answer``, and closes it."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, suppress(OSError):
                    client.recv(1024)
                    client.sendall(self._answer)
