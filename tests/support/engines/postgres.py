"""PostgreSQL for a test: a server of its own on loopback, from the programs of the machine."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
SERVER_OPTIONS = "-c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories="


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
def running(folder: Path, port: int) -> Iterator[Postgres]:
    """A server with nothing in it."""
    if not PLACES:
        pytest.skip("needs PostgreSQL (apt install postgresql)")
    server = Postgres(port, PLACES[0])
    data = folder / "data"
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:  # it does not run as root
        as_user = ("runuser", "-u", "postgres", "--")
        shutil.chown(folder, "postgres")
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent.name.startswith("pytest-"):
                parent.chmod(0o711)
    options = ("-D", str(data), "-U", server.user, "-A", "trust", "-E", "UTF8")
    subprocess.run(
        [*as_user, str(server.bin / "initdb"), *options], check=True, capture_output=True, cwd=folder
    )
    control = [*as_user, str(server.bin / "pg_ctl"), "-D", str(data), "-w"]
    start = ["-l", str(folder / "log"), "-o", f"-p {port} {SERVER_OPTIONS}", "start"]
    subprocess.run([*control, *start], check=True, capture_output=True, cwd=folder)
    try:
        yield server
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)
