"""Faust's own command, as somebody who knows Faust calls it."""

import asyncio
import contextlib
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
from support.cluster import FAUST_WORKER, free_port

from schemas.topics import TABLES

pytestmark = pytest.mark.slow  # each starts processes
FAUST = (sys.executable, "-m", "faust", "-A", "streams.app")


async def ended(*command: str, **environment: str) -> tuple[int | None, str, str]:
    """The exit code and both outputs of a command."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_agents_are_listed() -> None:
    """Each agent with its topic and what it does."""
    code, out, _ = await ended(*FAUST, "agents", TAGSTREAM_TOPIC_PREFIX="zoo.")
    rows = re.findall(r"^\| @(\w+) +\| (\S+) +\| (.+?) *\|$", out, re.MULTILINE)
    assert code == 0
    assert [(name, topic) for name, topic, _ in rows] == [("commit_outcomes", "zoo.image.uploads")]
    assert all(text.startswith("Fold each micro-batch") for *_, text in rows)


async def test_tables_are_listed() -> None:
    """Each table with what is in it."""
    code, out, _ = await ended(*FAUST, "tables")
    rows = dict(re.findall(r"^\| (\w+) +\| (\S.+?) *\|$", out, re.MULTILINE)[1:])
    assert code == 0
    assert tuple(rows) == TABLES
    assert not [text for text in rows.values() if "Missing description" in text]


async def test_a_wrong_setting_ends_it_as_it_ends_our_command() -> None:
    """Exit code 78; the last line names value, rule and cure."""
    for command in (FAUST_WORKER, (sys.executable, "-m", "streams.cli", "worker")):
        code, _, err = await ended(*command, TAGSTREAM_PARTITIONS="many")
        assert code == 78
        last = err.splitlines()[-1]
        assert "ending the process" in last
        assert "TAGSTREAM_PARTITIONS='many': say a whole number" in last


async def test_fausts_own_web_stays_off(tmp_path: Path) -> None:
    """It would show every row to anybody: only the query API listens, and it knows no /tables."""
    port, fausts = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(*FAUST_WORKER, "--web-port", str(fausts)),
        env={
            "TAGSTREAM_WEB_PORT": str(port),
            "TAGSTREAM_TAGGER": "stub",
            "TAGSTREAM_DATA_DIR": str(tmp_path),
            "KAFKA_BOOTSTRAP_SERVERS": "localhost:9",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await api.get("/healthz")).json()["status"] == "waiting for Kafka":
                        break
                await asyncio.sleep(0.05)
        assert (await api.get("/tables/")).status_code == 404
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.1", fausts)) != 0
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
