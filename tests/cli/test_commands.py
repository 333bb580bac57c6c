"""The commands as processes: what they print, how they end, and what they say when they cannot work."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from support.cluster import Cluster, free_port

from schemas.topics import TopicNames

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"
CLIENTS = (
    ["tail"],
    ["retag", "--rules-only"],
    ["publish", str(PHOTOS / "koala.jpg")],
    ["images", "edit", "koala", "--add", "zoo"],
)
NOBODY = "127.0.0.1:1"  # no broker listens there


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.splitlines()[-1]

    def records(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.splitlines()]


async def start(*words: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *words),
        env={**os.environ, "COLUMNS": "200", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*words: str, seconds: float = 60, **environment: str) -> Ended:
    process = await start(*words, **environment)
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out.decode(), err.decode())


@dataclass(frozen=True)
class Deployment:
    """A worker that is ready, and the options that lead clients to its topics."""

    cluster: Cluster
    options: tuple[str, ...]
    serve_port: int

    async def publish(self, *words: str) -> Ended:
        return await run("publish", *self.options, "--serve-port", str(self.serve_port), *words)

    async def edit(self, *words: str) -> Ended:
        return await run("images", "edit", words[0], *self.options, "--app-id", self.cluster.name, *words[1:])

    async def tail(self, *words: str) -> Ended:
        return await run("tail", *self.options, *words)


@pytest.fixture
async def deployment(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    port = free_port()
    allowed = {"TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{port}"}
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=allowed)
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        yield Deployment(cluster, ("--broker", kafka, "--topic-prefix", cluster.names.prefix), port)
    finally:
        await cluster.close()


@pytest.mark.kafka
async def test_publishing_a_folder(deployment: Deployment, tmp_path: Path) -> None:
    """Each photo of a folder, also of those inside it, comes back with its tags; other files do not count."""
    folder = tmp_path / "holiday"
    (folder / "zoo").mkdir(parents=True)
    (folder / "notes.txt").write_text("not a photo")
    (folder / "cat.jpg").write_bytes((PHOTOS / "cat.jpg").read_bytes())
    (folder / "zoo" / "koala.JPG").write_bytes((PHOTOS / "koala.jpg").read_bytes())
    ended = await deployment.publish(str(folder), "--json", "--user", "u1")
    assert ended.code == 0, ended.err
    values = {record["value"]["public_id"]: record["value"] for record in ended.records()}
    assert values.keys() == {"cat", "zoo/koala"}
    assert values["zoo/koala"]["tags"] == ["koala", "marsupial", "mammal"]
    assert values["zoo/koala"]["user_id"] == "u1"
    assert "left out: 1 other file (.txt 1)" in ended.err
    table = await deployment.publish(str(folder / "cat.jpg"))
    assert table.code == 0
    assert "feline" in table.out


@pytest.mark.kafka
async def test_editing_an_image(deployment: Deployment) -> None:
    """A person's word is printed as it changes the tags; said again it changes nothing; both end with 0."""
    await deployment.publish(str(PHOTOS / "koala.jpg"))
    words = ("koala", "--add", "zoo", "--remove", "mammal", "--by", "ann", "--add", "favourite")
    ended = await deployment.edit(*words)
    assert (ended.code, ended.err) == (0, "")
    assert "koala  +favourite +zoo -mammal = favourite, zoo, koala, marsupial" in ended.out
    again = await deployment.edit(*words)
    assert (again.code, again.out) == (0, "")
    assert "no tag changed" in again.err
    ended = await deployment.edit("koala", "--remove", "zoo", "--json")
    (update,) = ended.records()
    assert update["value"]["tags"] == ["favourite", "koala", "marsupial"]
    image = await deployment.cluster.get(0, "/images/koala")
    assert [change["removed"] for change in image["history"][1:]] == [["mammal"], ["zoo"]]


@pytest.mark.kafka
async def test_editing_what_cannot_be_edited(deployment: Deployment) -> None:
    """An unknown image is a dead letter and exit code 1; an edit that says nothing is a usage error."""
    ended = await deployment.edit("kaola", "--add", "zoo")
    assert ended.code == 1
    assert "dead letter: unknown_image (image 'kaola' is not known; publish its upload first" in ended.out
    ended = await deployment.edit("koala")
    assert ended.code == 2
    assert "`added` and `removed` name no tag" in ended.err


@pytest.mark.kafka
async def test_publishing_what_cannot_be_tagged(deployment: Deployment, tmp_path: Path) -> None:
    """A dead letter is shown with its reason, the other photos nevertheless, and the exit code is 1."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a photo")
    ended = await deployment.publish(str(broken), str(PHOTOS / "koala.jpg"))
    assert ended.code == 1
    assert "not_an_image" in ended.out
    assert "marsupial" in ended.out


@pytest.mark.kafka
async def test_tail_prints_lines_that_programs_can_read(deployment: Deployment) -> None:
    """What is there already, one JSON object per line, as many as asked for, of the kinds asked for."""
    await deployment.publish(str(PHOTOS / "koala.jpg"), "data:text/plain,hello")
    everything = await deployment.tail("--from-beginning", "--limit", "3", "--json")
    assert everything.code == 0
    records = everything.records()
    assert {record["kind"] for record in records} == {"categorization", "tag-update", "dead-letter"}
    (letter,) = (record for record in records if record["kind"] == "dead-letter")
    assert letter["fault"]["reason"] == "not_an_image"
    assert orjson.loads(letter["original"])["url"] == "data:text/plain,hello"
    words = ("--from-beginning", "--limit", "1", "--kind", "tag-update")
    assert "koala  +koala +marsupial +mammal" in (await deployment.tail(*words)).out


@pytest.mark.kafka
@pytest.mark.parametrize("command", CLIENTS, ids=lambda it: it[0])
async def test_topics_that_no_worker_has_made(command: list[str], kafka: str, unique: str) -> None:
    """Clients do not wait for what nobody will bring: they say that a worker is missing."""
    ended = await run(*command, "--broker", kafka, "--topic-prefix", f"{unique}.", seconds=30)
    assert ended.code == 78
    uploads = TopicNames(unique, f"{unique}.").uploads
    assert f"there is no topic {uploads!r}; start `tagstream worker`" in ended.last_line


def named(command: list[str]) -> str:
    return "images edit" if command[0] == "images" else command[0]


@pytest.mark.parametrize("command", CLIENTS, ids=lambda it: it[0])
async def test_a_broker_that_is_away(command: list[str]) -> None:
    """The last line says where it was looked for, and how to say another place."""
    ended = await run(*command, "--broker", NOBODY, seconds=30)
    assert ended.code == 78
    assert ended.last_line.startswith(f"tagstream {named(command)}: no Kafka at {NOBODY}")
    assert "KAFKA_BOOTSTRAP_SERVERS" in ended.last_line


@pytest.mark.parametrize("command", [["tail"], ["publish", "data:,"], ["run"]], ids=lambda it: it[0])
async def test_a_connection_that_cannot_be(command: list[str], tmp_path: Path) -> None:
    """A bad KAFKA_ variable is one line that names it, from every command."""
    ended = await run(
        *command,
        KAFKA_BOOTSTRAP_SERVERS=NOBODY,
        KAFKA_SECURITY_PROTOCOL="TLS",
        TAGSTREAM_DATA_DIR=str(tmp_path),
    )
    assert ended.code == 78
    rule = "choose PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    assert ended.err.splitlines() == [f"tagstream {command[0]}: KAFKA_SECURITY_PROTOCOL='TLS': {rule}"]


async def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """No event is published for a typing error: exit code 78, and the name."""
    missing = tmp_path / "no-such-folder"
    ended = await run("publish", str(missing))
    assert ended.code == 78
    assert ended.err == f"tagstream publish: {str(missing)!r} is no file, no folder and no URL\n"


async def test_photos_that_would_be_one_image(tmp_path: Path) -> None:
    """Refused before anybody asks for a broker: exit code 78, both names and the cure on one line."""
    for name in ("IMG_0001.jpg", "IMG_0001.png"):
        (tmp_path / name).write_bytes(b"")
    ended = await run("publish", str(tmp_path), "--broker", NOBODY)
    assert ended.code == 78
    (line,) = ended.err.splitlines()
    assert "IMG_0001.jpg' and " in line
    assert line.endswith("nothing was published. Rename one, or say --keep-extension")


async def test_a_folder_without_photos(tmp_path: Path) -> None:
    """An empty folder is named, with the kinds of files that count as photos."""
    ended = await run("publish", str(tmp_path))
    assert ended.code == 78
    assert ended.err.startswith(f"tagstream publish: folder {str(tmp_path)!r} holds no photos")
    assert ".jpeg" in ended.err


def refusal(ended: Ended) -> str:
    """What a worker's last log line says must be changed first; the process has ended with 78."""
    assert ended.code == 78
    last = orjson.loads(ended.last_line)
    assert last["level"] == "CRITICAL"
    begin = "ending the process, something must be changed before it starts again: "
    assert last["message"].startswith(begin)
    return str(last["message"].removeprefix(begin))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAGSTREAM_PARTITIONS", "0", "must be at least 1"),
        ("TAGSTREAM_LOG_LEVEL", "LOUD", "choose DEBUG, INFO, WARNING or ERROR"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "needed is HOST:PORT"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "choose PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
    ],
)
async def test_a_worker_with_a_bad_setting(name: str, value: str, said: str, tmp_path: Path) -> None:
    """Exit code 78 tells a supervisor not to try again; one line tells the operator why."""
    ended = await run("worker", **{"TAGSTREAM_DATA_DIR": str(tmp_path), name: value})
    assert len(ended.err.splitlines()) == 1
    fault = refusal(ended)
    assert fault.startswith(f"{name}=")
    assert repr(value).strip("'") in fault
    assert said in fault


async def test_a_worker_with_a_model_that_is_not_there(tmp_path: Path) -> None:
    """A folder without a manifest is named, and what it should have."""
    ended = await run(
        "worker",
        TAGSTREAM_ADD_ONS=f"mine={tmp_path},imagga_tagging",
        TAGSTREAM_DATA_DIR=str(tmp_path),
        TAGSTREAM_WEB_PORT="0",
        KAFKA_BOOTSTRAP_SERVERS=NOBODY,
    )
    assert refusal(ended).startswith(f"no manifest at {tmp_path / 'manifest.json'}")


async def test_a_worker_whose_address_is_taken(tmp_path: Path) -> None:
    """Both settings with their values, and the cure."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ("--web-port", str(port), "--tagger", "stub", "--data-dir", str(tmp_path), "--broker", NOBODY)
        fault = refusal(await run("worker", *words))
    assert fault.startswith(f"TAGSTREAM_WEB_HOST='127.0.0.1', TAGSTREAM_WEB_PORT={port}: ")
    assert fault.endswith("choose another address or port, or stop what listens there")


async def test_a_worker_with_rules_that_cannot_be_used(tmp_path: Path) -> None:
    """Their file is named."""
    rules = tmp_path / "rules.toml"
    rules.write_text("treshold = 0.4")
    words = ("--rules", str(rules), "--web-port", "0", "--data-dir", str(tmp_path), "--broker", NOBODY)
    assert refusal(await run("worker", *words)).startswith(f"{rules}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--partitions", "many"), "Invalid value for '--partitions': 'many' is not a valid integer"),
        (("--partition", "4"), "No such option: --partition"),
        (("now",), "Got unexpected extra argument (now)"),
    ],
)
async def test_a_worker_with_a_wrong_command_line(words: tuple[str, ...], said: str) -> None:
    """The usage is told as ever, with exit code 2, and the last line is one of the log."""
    ended = await run("worker", *words)
    assert ended.code == 2
    assert "Usage: " in ended.err
    last = orjson.loads(ended.last_line)
    assert last["level"] == "CRITICAL"
    begin = "ending the process, something must be changed before it starts again: "
    assert last["message"].startswith(begin + said)
    assert last["message"].endswith("; see `tagstream worker --help`")


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        ((), {"TAGSTREAM_LOG_FORMAT": "console"}),
        (("--log-format", "console"), {"TAGSTREAM_LOG_FORMAT": "json"}),
    ],
)
async def test_a_refusal_in_the_form_that_was_chosen(
    words: tuple[str, ...], environment: dict[str, str]
) -> None:
    """Also where another setting is wrong; a form that is none is told in the usual one."""
    ended = await run("worker", *words, **environment, TAGSTREAM_PARTITIONS="0")
    assert ended.code == 78
    said = r"CRITICAL +ending the process, .*: TAGSTREAM_PARTITIONS=0 must be at least 1"
    assert re.search(said, ended.last_line)
    fault = refusal(await run("worker", TAGSTREAM_LOG_FORMAT="xml"))
    assert fault == "TAGSTREAM_LOG_FORMAT='xml': choose auto, console or json"


PROCESS = """
import os, signal, sys, time
from streams.app.process import run_process

def make_app():
    {}

sys.exit(run_process(make_app))
"""


async def process_of(body: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROCESS.format(body)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def test_a_worker_that_meets_what_nobody_expects() -> None:
    """Before Kafka has a part in it a restart meets it again: the traceback, and a last line like others."""
    ended = await process_of("raise RuntimeError('no such luck')")
    fault = refusal(ended)
    assert fault == "RuntimeError: no such luck (the traceback is above)"
    before = orjson.loads(ended.err.splitlines()[-2])
    assert before["exc_info"].endswith("RuntimeError: no such luck")


async def test_a_worker_that_is_stopped_while_it_starts() -> None:
    """A stop that was asked for ends with 0, also before there is an event loop."""
    ended = await process_of("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)")
    assert (ended.code, ended.err) == (0, "")


async def test_a_worker_waits_for_kafka(tmp_path: Path) -> None:
    """Alive but not ready, and told so over HTTP; SIGTERM ends it cleanly even then."""
    port = free_port()
    process = await start(
        *("worker", "--broker", NOBODY, "--web-port", str(port), "--data-dir", str(tmp_path))
    )
    try:
        ready = await waiting_for_kafka(f"http://127.0.0.1:{port}")
        assert ready.status_code == 503
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def waiting_for_kafka(api: str) -> httpx.Response:
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                answer = await client.get(f"{api}/readyz")
                if answer.json()["status"] == "waiting for Kafka":
                    return answer
            await asyncio.sleep(0.1)


@pytest.mark.kafka
async def test_a_run_that_is_stopped_while_it_starts(kafka: str, unique: str, tmp_path: Path) -> None:
    """SIGTERM ends the worker, too: its port is free again."""
    port = free_port()
    process = await start(
        *("run", "--broker", kafka, "--app-id", unique, "--topic-prefix", f"{unique}."),
        *("--data-dir", str(tmp_path), "--web-port", str(port), "--photo-port", str(free_port())),
    )
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
            while True:
                with suppress(httpx.TransportError):
                    await client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
