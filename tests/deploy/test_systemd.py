"""The units of systemd: fit for it, in step with the code, and two workers that they start share the work."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from support.cluster import Cluster
from support.fault_cases import STUB, assert_exact, status, uploads

from streams.app.exit import EXIT_RESTART, EXIT_UNUSABLE
from streams.app.settings import Settings, variable
from streams.kafka.connection import VARIABLES

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = (FOLDER / "tagstream@.service").read_text("utf-8")
OWN = {"TAGSTREAM_INSTANCE_ID", "TAGSTREAM_DATA_DIR", "TAGSTREAM_WEB_PORT", "TAGSTREAM_METRICS_PORT"}
KNOWN = {*VARIABLES.values(), *(variable(name) for name in Settings.__dataclass_fields__)}


def said(name: str) -> list[str]:
    """The values that the unit gives a directive."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"\b([A-Z][A-Z_]+)=(\S+)", re.sub(r"^#.*$", "", text, flags=re.MULTILINE)))


def environment_of(number: int) -> dict[str, str]:
    """What systemd would give a worker: its own, then the common file, then its file."""
    own = variables(" ".join(said("Environment")).replace("%i", str(number)).replace("%H", "host-1"))
    common = variables((FOLDER / "worker.env").read_text("utf-8"))
    more = FOLDER / f"worker-{number}.env"
    return own | common | (variables(more.read_text("utf-8")) if more.exists() else {})


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_them(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, once the programs and the user are there."""
    for path in (*FOLDER.glob("*.service"), *FOLDER.glob("*.target")):
        text = path.read_text("utf-8").replace("User=tagstream", f"User={os.getuid()}")
        text = text.replace("/opt/tagstream/.venv/bin/tagstream", sys.executable)
        (tmp_path / path.name).write_text(text, "utf-8")
    command = ("systemd-analyze", "verify", "--man=no", str(tmp_path / "tagstream@3.service"))
    (tmp_path / "tagstream@3.service").symlink_to("tagstream@.service")
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in made.stderr.splitlines() if "tagstream" in line]
    assert (made.returncode, told) == (0, [])


def test_workers_differ_in_what_must_differ() -> None:
    """Name, folder and both ports; where one answers questions and others do not, that as well."""
    first, second = environment_of(0), environment_of(1)
    differ = {name for name in first if first[name] != second.get(name)}
    assert differ == {*OWN, "TAGSTREAM_ROLES"}
    assert first.keys() <= KNOWN
    for number in range(10):
        settings = Settings.from_mapping(environment_of(number))
        assert settings.answers == (number == 0)
        [state] = said("StateDirectory")
        assert str(settings.data_dir) == f"/var/lib/{state.replace('%i', str(number))}"


def test_it_starts_again_as_exit_codes_say() -> None:
    """After doubt it does, not where something must be changed first."""
    [never] = said("RestartPreventExitStatus")
    assert said("Restart") == ["on-failure"]
    assert {int(code) for code in never.split()} == {2, EXIT_UNUSABLE}
    assert EXIT_RESTART not in {2, EXIT_UNUSABLE}


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Workers 0 and 1 with what the unit gives them, but for Kafka, names of topics, folders and ports."""
    cluster = Cluster(kafka, unique, tmp_path)
    try:
        for number in (0, 1):
            told = {
                name: value
                for name, value in environment_of(number).items()
                if name not in {*OWN, "KAFKA_BOOTSTRAP_SERVERS", "TAGSTREAM_PARTITIONS"}
            }
            cluster.environment = {**STUB, **told}
            await cluster.start(number)
        yield cluster
    finally:
        await cluster.close()


async def partitions_of(cluster: Cluster, worker: int) -> set[int]:
    """Those that a worker works on; none as long as it does not answer."""
    try:
        told = await cluster.get(worker, "/readyz")
    except httpx.TransportError:
        return set()
    return {state["partition"] for state in told["partitions"] if state["ready"]}


@pytest.mark.kafka
async def test_two_on_one_machine_share_the_work(cluster: Cluster) -> None:
    """Each has some partitions, one answers for both; as one stops, the other has all of them."""
    async with asyncio.timeout(90):
        while not all(owned := [await partitions_of(cluster, number) for number in (0, 1)]):
            await asyncio.sleep(0.1)
    await cluster.until_ready([0, 1], 60)
    assert not owned[0] & owned[1]
    await cluster.publish(uploads(range(60)))
    await cluster.until_folded(60)
    assert await cluster.stop(1) == 0
    await cluster.until_ready([0], 90)
    await assert_exact(cluster, 60)
    async with asyncio.timeout(30):
        while (await cluster.get(0, "/trends/top?window=all"))["tags"] != [
            {"tag": "koala", "count": 60},
            {"tag": "tree", "count": 60},
        ]:
            await asyncio.sleep(0.1)
    assert (await status(cluster, 0))[0] == 200
