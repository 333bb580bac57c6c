"""Who may ask a real worker process: at its start, while it runs, and through the commands."""

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from support.cluster import Cluster, free_port

from schemas.uploads import UploadData
from streams.web.access.callers import Scope
from streams.web.access.tokens import lines_of

NOBODY = "127.0.0.1:1"  # no broker listens there


async def end_of(*words: str, **environment: str) -> tuple[int, str]:
    """Run a command that ends by itself; return its exit code and all that it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *words),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode()


def write(path: Path, *names: str) -> Path:
    """Write a file with a token for the tenant of each name."""
    path.write_text("\n".join(lines_of(f"ts_{name}", [Scope.READ], [name], name) for name in names), "utf-8")
    path.chmod(0o600)
    return path


async def test_a_worker_does_not_open_itself(tmp_path: Path) -> None:
    """On an address that others reach it ends with 78 and says what to do, before it speaks to Kafka."""
    words = ("worker", "--broker", NOBODY, "--data-dir", str(tmp_path), "--tagger", "stub")
    code, said = await end_of(*words, "--web-host", "0.0.0.0", "--web-port", "0")
    assert code == 78, said
    assert "starts again: TAGSTREAM_WEB_HOST='0.0.0.0' lets others ask" in said
    assert "Traceback" not in said


async def test_a_worker_does_not_trust_a_file_that_others_read(tmp_path: Path) -> None:
    """78 as well, with what to type; so with a file that is not there."""
    tokens = write(tmp_path / "tokens.toml", "acme")
    tokens.chmod(0o644)
    words = ("worker", "--broker", NOBODY, "--data-dir", str(tmp_path), "--tagger", "stub", "--web-port", "0")
    for path, fault in ((tokens, "chmod 600"), (tmp_path / "none", "cannot be read")):
        code, said = await end_of(*words, TAGSTREAM_TOKENS=str(path))
        assert code == 78, said
        assert fault in said
        assert "Traceback" not in said


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write(tmp_path / "tokens.toml", "acme", "zoo")


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, tokens: Path) -> AsyncIterator[Cluster]:
    environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_WEB_HOST": "0.0.0.0",
        "TAGSTREAM_TOKENS": str(tokens),
        "TAGSTREAM_RATE_LIMIT": "5",
        "TAGSTREAM_RATE_BURST": "60",
    }
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def event(tenant: str, tag: str) -> UploadData:
    photo = base64.b64encode(json.dumps({tag: 0.9}).encode()).decode()
    return UploadData(
        public_id="shared",
        url=f"data:image/png;base64,{photo}",
        user_id="ann",
        tenant=tenant,
        auto_tagging=0.5,
    )


def listening_ports(pid: int) -> set[int]:
    """The TCP ports that a process listens on, as the kernel knows them."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets |= set(re.findall(r"^socket:\[(\d+)\]$", str(link.readlink())))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]
    ]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in sockets}


@pytest.mark.kafka
async def test_a_worker_with_tokens(cluster: Cluster, tokens: Path) -> None:
    """Each tenant's token is told of its own images; revoked ones of nothing; strangers that it is ready."""
    await cluster.start(0)
    url = f"http://127.0.0.1:{cluster.ports[0]}"
    async with httpx.AsyncClient(trust_env=False, base_url=url) as client:

        async def ask(path: str, token: str | None = None, **headers: str) -> httpx.Response:
            more = {} if token is None else {"authorization": f"Bearer ts_{token}"}
            return await client.get(path, headers={**more, **headers})

        await until_ready(client)
        assert (await ask("/readyz")).json() == {"status": "ready", "partitions": []}
        assert [state["ready"] for state in (await ask("/readyz", "zoo")).json()["partitions"]] == [True] * 2
        assert (await ask("/openapi.json")).status_code == 200
        await cluster.publish([event("acme", "anvil"), event("zoo", "zebra")])
        await cluster.until_folded(2)
        for name, tag in (("acme", "anvil"), ("zoo", "zebra")):
            assert [row["tag"] for row in (await ask("/tags", name)).json()["tags"]] == [tag]
            assert (await ask("/images/shared", name)).json()["tags"][0]["tag"] == tag
            assert (await ask("/users/ann/interests", name)).json()["interests"][0]["tag"] == tag
        assert (await ask("/tags?tenant=zoo", "acme")).status_code == 403
        assert (await ask("/tags", "guess")).status_code == (await ask("/tags")).status_code == 401
        await commands_take_tokens(url)
        write(tokens, "zoo")  # the other token is revoked
        await asyncio.sleep(1.2)
        assert ((await ask("/tags", "acme")).status_code, (await ask("/tags", "zoo")).status_code) == (
            401,
            200,
        )
        flood = [(await ask("/tags", "zoo")).status_code for _ in range(90)]
        assert flood.count(429) >= 10
        assert flood[0] == 200
        assert (await ask("/healthz")).status_code == 200
    assert listening_ports(cluster.processes[0].pid) == {cluster.ports[0], cluster.metrics_ports[0]}
    assert await cluster.stop(0) == 0
    assert "Traceback" not in cluster.log_path(0).read_text()
    assert "ts_" not in cluster.log_path(0).read_text()


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.2)


async def commands_take_tokens(url: str) -> None:
    """`--token` and TAGSTREAM_TOKEN are what the worker wants; without one the command says so."""
    code, said = await end_of("images", "show", "shared", "--api", url, TAGSTREAM_TOKEN="ts_acme")  # noqa: S106 - of this test
    assert (code, "anvil" in said) == (0, True), said
    code, said = await end_of(
        "images", "show", "shared", "--api", url, "--token", "ts_zoo", "--tenant", "acme"
    )
    assert code == 1, said
    assert "this token is for the tenant 'zoo'" in said
    code, said = await end_of("images", "show", "shared", "--api", url)
    assert code == 78, said
    assert "does not let you in (401: a token is needed" in said


@pytest.mark.kafka
async def test_a_worker_on_loopback_answers_no_foreign_page(kafka: str, unique: str, tmp_path: Path) -> None:
    """As it starts without settings: no token, but 421 for a name that was rebound to it."""
    cluster = Cluster(kafka, unique, tmp_path, partitions=1, environment={"TAGSTREAM_TAGGER": "stub"})
    cluster.ports[0] = free_port()
    try:
        await cluster.start(0)
        async with httpx.AsyncClient(
            trust_env=False, base_url=f"http://127.0.0.1:{cluster.ports[0]}"
        ) as client:
            await until_ready(client)
            assert (await client.get("/tags")).status_code == 200
            assert (await client.get("/tags", headers={"host": "localhost"})).status_code == 200
            assert (await client.get("/tags", headers={"host": "evil.example"})).status_code == 421
            for path in (
                "/table",
                "/table/trends",
                "/router",
                "/stats",
                "/graph",
                "/health",
                "/",
            ):  # Faust's own
                assert (await client.get(path)).status_code == 404
        assert listening_ports(cluster.processes[0].pid) == {cluster.ports[0], cluster.metrics_ports[0]}
    finally:
        await cluster.close()


@pytest.mark.kafka
async def test_run_shows_its_photos_with_a_token(kafka: str, unique: str, tmp_path: Path) -> None:
    """`tagstream run` where tokens are needed takes one from TAGSTREAM_TOKEN, or says so."""
    tokens = write(tmp_path / "tokens.toml", "")
    words = ("run", "--once", "--broker", kafka, "--app-id", unique, "--topic-prefix", f"{unique}.")
    more = (
        "--data-dir",
        str(tmp_path / "data"),
        "--web-port",
        str(free_port()),
        "--photo-port",
        str(free_port()),
    )
    code, said = await end_of(*words, *more, TAGSTREAM_TOKENS=str(tokens))
    assert (code, "say one in TAGSTREAM_TOKEN" in said) == (78, True)
    code, said = await end_of(*words, *more, TAGSTREAM_TOKENS=str(tokens), TAGSTREAM_TOKEN="ts_")  # noqa: S106
    assert (code, "mammal" in said) == (0, True), said
