"""ClickHouse for a test: chDB as a process of its own, asked with the questions of the recipe."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from support.cluster import free_port
from support.examples import EXAMPLES, ROOT

RECIPE = EXAMPLES / "clickhouse"
PYTHON = ROOT / ".venv-engines" / "bin" / "python"
INSTALLED = PYTHON.parent.parent / "lib"
"""Has chDB, where `make engines` could install it."""
_SERVER = Path(__file__).with_name("chdb_server.py")


def is_installed() -> bool:
    return any(INSTALLED.glob("python*/site-packages/chdb"))


@dataclass(frozen=True)
class ClickHouse:
    """A server that has the tables of the recipe.

    Attributes:
        url: Of its HTTP interface.
    """

    url: str

    async def ask(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """What a question of the recipe gives."""
        question = (RECIPE / f"{name}.sql").read_text("utf-8")
        return await self.query(question, **parameters)

    async def query(self, question: str, **parameters: object) -> list[dict[str, Any]]:
        """What any question gives."""
        given = {f"param_{name}": str(value) for name, value in parameters.items()}
        async with httpx.AsyncClient(trust_env=False, timeout=300) as client:
            answer = await client.post(self.url, params={"query": question, **given})
        assert answer.is_success, answer.text
        return [json.loads(line) for line in answer.text.splitlines() if line]


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[ClickHouse]:
    """Start a server with nothing but the tables, and end it."""
    port = free_port()
    with (folder / "clickhouse.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(PYTHON), str(_SERVER), str(port), str(folder / "clickhouse"), stdout=log, stderr=log
        )
    clickhouse = ClickHouse(f"http://127.0.0.1:{port}/")
    try:
        async with asyncio.timeout(60):
            while not await _answers(clickhouse):
                assert process.returncode is None, (folder / "clickhouse.log").read_text("utf-8")
                await asyncio.sleep(0.1)
        for statement in (RECIPE / "schema.sql").read_text("utf-8").split(";\n"):
            if statement.strip():
                await clickhouse.query(statement)
        yield clickhouse
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(clickhouse: ClickHouse) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return await clickhouse.query("SELECT 1 AS one") == [{"one": 1}]
    return False
