"""PostgreSQL for a test: a server of its own on loopback, from the programs of the machine."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass(frozen=True)
class Postgres:
    """A server that answers.

    Attributes:
        port: On loopback.
        bin: Where its programs are.
    """

    port: int
    bin: Path
    user: str = "tests"

    @property
    def url(self) -> str:
        """The address, for JDBC."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def rows(self, question: str) -> list[tuple[Any, ...]]:
        """What it answers, as texts; nothing where a table is not there yet."""
        command = (str(self.bin / "psql"), "-At", "-F", "\x1f", "-h", "127.0.0.1", "-p", str(self.port))
        made = subprocess.run(
            [*command, "-U", self.user, "-c", question, "postgres"],
            capture_output=True,
            text=True,
            check=False,
        )
        if "does not exist" in made.stderr:
            return []
        assert made.returncode == 0, made.stderr
        return [tuple(line.split("\x1f")) for line in made.stdout.splitlines()]


@contextlib.contextmanager
def running(port: int) -> Iterator[Postgres]:
    """A server with nothing in it, in a folder of its own: as root it runs as the user `postgres`."""
    if not PLACES:
        pytest.skip("needs PostgreSQL (apt install postgresql)")
    server = Postgres(port, PLACES[0])
    with tempfile.TemporaryDirectory(prefix="tagstream-postgres-") as name:
        folder = Path(name)
        as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            as_user = ("runuser", "-u", "postgres", "--")
            shutil.chown(folder, "postgres")

        def call(program: str, *options: str) -> None:
            command = (*as_user, str(server.bin / program), "-D", str(folder / "data"), *options)
            made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
            assert made.returncode == 0, f"{made.stdout}{made.stderr}"

        call("initdb", "-U", server.user, "-A", "trust", "-E", "UTF8")
        options = f"-p {port} -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield server
        finally:
            call("pg_ctl", "-m", "immediate", "stop")
