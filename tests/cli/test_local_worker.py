"""The worker that `tagstream run` starts: the user's settings count, and what the run needs is added."""

import contextlib
import os
import signal
import socket
import sys
from asyncio import subprocess, timeout, wait_for
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from support.cluster import Cluster, free_port

from schemas.errors import SettingsError
from streams.app.roles import ALL
from streams.app.settings import Settings
from streams.cli.local.local_worker import Cluster as Kafka
from streams.cli.local.local_worker import LocalWorker, local_worker
from streams.cli.local.local_worker import free_port as first_free
from streams.cli.local.run import _threshold
from streams.cli.publish import PHOTO_PORT
from streams.kafka.connection import KafkaConnection

PHOTO = Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg"


def started(
    environment: Mapping[str, str] | None = None, *, embedded: bool = False, **flags: object
) -> LocalWorker:
    """How a run starts its worker, with ports that are free."""
    flags = {"web_port": free_port(), **flags}
    settings = Settings.from_mapping(environment or {}, **flags)
    kafka = Kafka(KafkaConnection("kafka-1:9092"), embedded=embedded)
    return local_worker(settings, flags, kafka, environment or {}, (6067,))


def flag(worker: LocalWorker, name: str) -> str | None:
    words = worker.arguments
    return words[words.index(name) + 1] if name in words else None


def test_sources_are_added_to_those_that_the_user_allows() -> None:
    """By variable, by flag, or none: the photos' own source comes on top."""
    assert flag(started(), "--allow-sources") == "127.0.0.1:6067"
    allowed = {"TAGSTREAM_ALLOW_SOURCES": "10.0.0.0/8, photos.local:80,"}
    assert flag(started(allowed), "--allow-sources") == "10.0.0.0/8, photos.local:80,127.0.0.1:6067"
    said = started(allowed, allow_sources="photos.local")
    assert flag(said, "--allow-sources") == "photos.local,127.0.0.1:6067"
    assert said.notes == []


def test_no_two_parts_of_a_run_want_one_port() -> None:
    """By default: the query API, the gateway, the metrics, the photos."""
    settings = Settings()
    assert len({settings.web_port, settings.gateway_port, settings.metrics_port, PHOTO_PORT}) == 4


def test_a_profile_counts(tmp_path: Path) -> None:
    """What it says of sources is completed, too; the rest the worker reads by itself."""
    profile = tmp_path / "machine.env"
    profile.write_text("TAGSTREAM_ALLOW_SOURCES=photos.local\nTAGSTREAM_THREADS=2\n")
    worker = started({"TAGSTREAM_PROFILE": str(profile)})
    assert flag(worker, "--allow-sources") == "photos.local,127.0.0.1:6067"
    assert flag(worker, "--threads") is None
    assert flag(started(profile=profile), "--profile") == str(profile)


def test_flags_are_passed_on_and_variables_are_left_to_the_worker() -> None:
    """It reads the same environment, so only what was said as a flag needs saying again."""
    worker = started({"TAGSTREAM_MAX_BATCH": "2"}, threads=3, open_api=True, rules=Path("r.toml"))
    assert (flag(worker, "--threads"), flag(worker, "--open-api")) == ("3", "True")
    assert flag(worker, "--rules") == "r.toml"
    assert flag(worker, "--max-batch") is None
    assert flag(worker, "--broker") == "kafka-1:9092"


def test_what_the_run_cannot_do_without_is_told() -> None:
    """One line for each setting that counts otherwise than it was said; trends where they are asked for."""
    worker = started({"TAGSTREAM_ROLES": "tag", "TAGSTREAM_REPLICATION": "3"})
    assert flag(worker, "--roles") == ALL.removesuffix(",trends")
    asked = started({"TAGSTREAM_ROLES": "tag,trends", "TAGSTREAM_STREAMS": "tag.counts"})
    assert flag(asked, "--roles") == ALL
    assert flag(worker, "--replication") is None
    assert worker.notes == [
        "TAGSTREAM_ROLES=tag does not count here: the run tags photos, shows counts, and takes SDKs' calls"
    ]
    embedded = started({"TAGSTREAM_REPLICATION": "3"}, embedded=True)
    assert flag(embedded, "--replication") == "1"
    assert embedded.notes == [
        "TAGSTREAM_REPLICATION=3 does not count here: the embedded Kafka is a single broker"
    ]


def test_the_way_to_another_kafka_is_not_that_to_the_embedded_one() -> None:
    """Variables of TLS and SASL are emptied for its worker, and that is told."""
    environment = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "ann"}
    worker = started(environment, embedded=True)
    assert worker.environment == {"KAFKA_SECURITY_PROTOCOL": "", "KAFKA_SASL_USERNAME": ""}
    (note,) = worker.notes
    assert note.startswith("KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_USERNAME: not for the embedded Kafka; ")
    assert note.endswith("name a cluster in KAFKA_BOOTSTRAP_SERVERS")
    assert started(environment).environment == {}


def test_a_port_that_is_taken_is_told() -> None:
    """Another one is found; 0 asked for any, so nothing is told then."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        worker = started(web_port=taken)
    port = flag(worker, "--web-port")
    assert port not in {str(taken), None}
    assert worker.notes == [f"port {taken} is taken: the query API is on port {port}"]
    assert worker.api == f"http://127.0.0.1:{port}"
    assert started(web_port=0).notes == []
    with socket.create_server(("127.0.0.1", 0)) as other:
        worker = started(gateway_port=other.getsockname()[1])
    assert worker.gateway == f"http://127.0.0.1:{flag(worker, '--gateway-port')}"
    assert worker.notes[-1].endswith(f"is taken: the gateway is on port {flag(worker, '--gateway-port')}")


@pytest.mark.parametrize(
    ("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("localhost", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")]
)
def test_where_the_worker_is_asked(host: str, asked: str) -> None:
    """At the address that it listens on, or at loopback where it listens on all."""
    port = free_port()
    assert started(web_host=host, web_port=port, open_api=True).api == f"http://{asked}:{port}"


def test_an_address_of_another_machine() -> None:
    """It is named, and the cure."""
    with pytest.raises(SettingsError, match=r"no port of 192\.0\.2\.1 can be listened on"):
        started(web_host="192.0.2.1", open_api=True)
    assert first_free(0) != 0


@pytest.mark.parametrize(
    ("settings", "rules", "threshold"),
    [
        ({}, None, 0.4),
        ({"auto_tagging": 0.9}, None, None),
        ({}, "threshold = 0.2", None),
        ({}, "[add_on.imagga_tagging]\nthreshold = 0.2", None),
        ({}, 'block = ["website"]', 0.4),
        ({}, "[add_on.scene_tagging]\nthreshold = 0.2", 0.4),
    ],
)
def test_the_samples_name_a_threshold_where_nobody_else_does(
    settings: dict[str, object], rules: str | None, threshold: float | None, tmp_path: Path
) -> None:
    """An event's own would overrule that of settings and rules."""
    if rules is not None:
        settings["rules"] = tmp_path / "rules.toml"
        (tmp_path / "rules.toml").write_text(rules)
    assert _threshold(Settings.from_mapping({}, **settings)) == threshold


@contextlib.asynccontextmanager
async def command(*words: str, **environment: str) -> AsyncIterator[subprocess.Process]:
    process = await subprocess.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *words),
        env={**os.environ, "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.kafka
async def test_a_run_takes_the_settings_of_its_worker(kafka: str, unique: str, tmp_path: Path) -> None:
    """Sources, threshold and address of the environment count, and the photos are tagged nevertheless."""
    source = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TAGSTREAM_APP_ID": unique,
        "TAGSTREAM_TOPIC_PREFIX": f"{unique}.",
        "TAGSTREAM_DATA_DIR": str(tmp_path),
        "TAGSTREAM_WEB_PORT": str(free_port()),
        "TAGSTREAM_WEB_HOST": "0.0.0.0",
        "TAGSTREAM_OPEN_API": "true",
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{source}",
        "TAGSTREAM_AUTO_TAGGING": "0.97",
        "TAGSTREAM_ROLES": "tag",
    }
    async with command("run", "--photo-port", "0", **environment) as process:
        assert process.stdout is not None
        printed = b""
        async with timeout(120):
            while b"Ctrl-C" not in printed:
                line = await process.stdout.readline()
                assert line, printed.decode()
                printed += line
        assert b"TAGSTREAM_ROLES=tag does not count here" in printed
        async with command("publish", "--serve-port", str(source), str(PHOTO), **environment) as publish:
            out, _ = await wait_for(publish.communicate(), 60)
        assert publish.returncode == 0, out.decode()
        async with httpx.AsyncClient(trust_env=False) as client:
            port = environment["TAGSTREAM_WEB_PORT"]
            answer = await client.get(f"http://127.0.0.1:{port}/images/macaw")
        assert [tag["tag"] for tag in answer.json()["tags"]] == ["macaw", "parrot"]
        process.send_signal(signal.SIGINT)
        assert await wait_for(process.wait(), 60) == 0
    results = await Cluster(kafka, unique, tmp_path).results()
    assert len([result for result in results if result["public_id"] == "koala"]) == 2


@pytest.mark.kafka
async def test_a_run_that_ends_by_itself(kafka: str, unique: str, tmp_path: Path) -> None:
    """With --once nothing is promised that is gone a moment later."""
    words = ("--topic-prefix", f"{unique}.", "--data-dir", str(tmp_path), "--photo-port", "0")
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TAGSTREAM_APP_ID": unique,
        "TAGSTREAM_WEB_PORT": str(free_port()),
    }
    async with command("run", "--once", *words, **environment) as process:
        out, _ = await wait_for(process.communicate(), 120)
    printed = out.decode()
    assert process.returncode == 0, printed
    assert "Without --once all stays up" in printed
    assert "nothing is sent to Imagga" in printed
    assert "not people, faces, trees or streets" in printed
    for promise in ("Try next", "Ctrl-C", "another terminal"):
        assert promise not in printed


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAGSTREAM_WEB_HOST", "0.0.0.0", "lets others ask; name a file of tokens"),
        ("TAGSTREAM_TOKENS", "/no/such/tokens.toml", "the tokens cannot be read"),
        ("TAGSTREAM_ADD_ONS", "mine=/models/mine", "does not offer 'imagga_tagging'"),
        ("TAGSTREAM_PARTITIONS", "0", "must be at least 1"),
    ],
)
async def test_a_setting_that_the_worker_would_refuse(
    name: str, value: str, said: str, tmp_path: Path
) -> None:
    """It is told before a broker is started: one line, exit code 78."""
    async with command("run", **{"TAGSTREAM_DATA_DIR": str(tmp_path / "data"), name: value}) as process:
        out, _ = await wait_for(process.communicate(), 60)
    assert process.returncode == 78
    (line,) = out.decode().splitlines()
    assert line.startswith("tagstream run: ")
    assert value in line
    assert said in line
    assert not (tmp_path / "data").exists()
