"""`tagstream doctor`: what it prints, how it ends, and that a worker's start says the same."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner

from schemas.errors import TopicsError
from schemas.topics import MAX_FORWARDED_BYTES, TopicNames
from streams.app.settings import Settings
from streams.cli.doctor import doctor as doctor_command
from streams.cli.main import main
from streams.cli.worker import worker
from streams.kafka.admin import ensure_topics, open_admin, partition_counts
from streams.kafka.connection import KafkaConnection

NOBODY = "127.0.0.1:1"  # no broker listens there
STUB = ("--tagger", "stub")


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait: a broker hears of what its controller has decided a moment later."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Doctor:
    """The command for one deployment of a broker."""

    def __init__(self, broker: str, name: str, folder: Path) -> None:
        self.settings = Settings(app_id=name, topic_prefix=f"{name}.", data_dir=folder)
        self.names = TopicNames.of(self.settings)
        self.connection = KafkaConnection(broker)
        prefix = self.settings.topic_prefix
        self._words = (
            "--broker",
            broker,
            "--app-id",
            name,
            "--topic-prefix",
            prefix,
            "--data-dir",
            str(folder),
        )

    def say(self, *words: str) -> tuple[int, str]:
        ended = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["doctor", *self._words, *words])
        return ended.exit_code, ended.stdout

    def ask(self, *words: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        """Exit code, and the findings by their check."""
        code, said = self.say("--json", *words)
        answer = json.loads(said)
        assert answer.keys() == {"status", "checks"}
        assert (code == 78) == (answer["status"] == "fail")
        found: dict[str, list[dict[str, str]]] = {}
        for finding in answer["checks"]:
            assert finding.keys() == {"check", "status", "value", "rule", "cure"}
            assert finding["cure"] or finding["status"] == "ok"
            found.setdefault(finding["check"], []).append(finding)
        return code, found

    def start(self) -> None:
        """What a worker does with topics at its start."""
        asyncio.run(ensure_topics(self.connection, self.settings))

    def create(self, topic: NewTopic) -> None:
        async def create() -> None:
            async with open_admin(self.connection) as admin:
                await admin.create_topics([topic])

        asyncio.run(create())
        until(lambda: topic.name in asyncio.run(self.topics()))

    def alter(self, topic: str, config: dict[str, str]) -> None:
        """Change a topic's configuration, and wait until the broker knows it."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, config)

        async def alter() -> None:
            async with open_admin(self.connection) as admin:
                await admin.alter_configs([resource])

        async def altered() -> bool:
            async with open_admin(self.connection) as admin:
                [answer] = await admin.describe_configs([resource])
            return {name: value for name, value, *_ in answer.resources[0][-1]} == config

        asyncio.run(alter())
        until(lambda: asyncio.run(altered()))

    async def topics(self) -> set[str]:
        async with open_admin(self.connection) as admin:
            return set(await partition_counts(admin)) & set(self.names.configs)


@pytest.fixture
def doctor(kafka: str, unique: str, tmp_path: Path) -> Doctor:
    return Doctor(kafka, unique, tmp_path)


@pytest.mark.kafka
def test_a_healthy_broker(doctor: Doctor) -> None:
    """Before the first worker and after it: all is ok, with the real model, and nothing is created."""
    code, found = doctor.ask()
    assert code == 0
    assert {finding["status"] for findings in found.values() for finding in findings} == {"ok"}
    assert found["topics"][0]["value"] == "0 of 9, the others will be created"
    assert asyncio.run(doctor.topics()) == set()
    doctor.start()
    until(lambda: len(asyncio.run(doctor.topics())) == len(doctor.names.configs))
    code, found = doctor.ask(*STUB)
    assert code == 0
    assert [name for name, findings in found.items() if findings[0]["status"] != "ok"] == ["models"]
    assert found["topics"][0]["value"] == "all 9"
    assert {"cleanup.policy", "delete.retention.ms", "max.message.bytes"} <= found.keys()
    assert {
        "data directory",
        "disk",
        "rules",
        "sources",
        "tokens",
        "broker",
        "version",
        "clock",
    } <= found.keys()


@pytest.mark.kafka
def test_state_that_would_be_deleted(doctor: Doctor) -> None:
    """A fault, in the words with which a worker refuses to start; each cure stands whole in 80 columns."""
    doctor.start()
    until(lambda: len(asyncio.run(doctor.topics())) == len(doctor.names.configs))
    topic = doctor.names.changelog("images")
    wrong = doctor.names.configs[topic] | {"cleanup.policy": "delete"}
    doctor.alter(topic, wrong)
    code, found = doctor.ask(*STUB)
    assert code == 78
    [fault] = found["cleanup.policy"]
    assert fault["value"] == f"topic {topic}: cleanup.policy=delete"
    with pytest.raises(TopicsError) as caught:
        doctor.start()
    assert str(caught.value) == f"{fault['value']}: {fault['rule']}; {fault['cure']}"
    code, said = doctor.say(*STUB)
    assert code == 78
    cures = [finding["cure"] for findings in found.values() for finding in findings if finding["cure"]]
    assert {f"  {cure}" for cure in cures} <= set(said.splitlines())
    assert "…" not in said


@pytest.mark.kafka
def test_topics_that_cannot_be(doctor: Doctor) -> None:
    """More replicas than brokers, then a topic of another number of partitions; nothing is created."""
    code, found = doctor.ask(*STUB, "--replication", "100")
    assert code == 78
    assert found["topics"][-1]["cure"].startswith("set TAGSTREAM_REPLICATION to no more than")
    size = {"max.message.bytes": str(MAX_FORWARDED_BYTES)}
    doctor.create(NewTopic(doctor.names.uploads, 2, 1, topic_configs=size))
    code, found = doctor.ask(*STUB)
    assert code == 78
    [fault] = found["partitions"]
    assert fault["value"] == f"{doctor.names.uploads}=2"
    assert fault["cure"].startswith("set TAGSTREAM_PARTITIONS=2")
    assert doctor.ask(*STUB, "--partitions", "2")[0] == 0
    assert asyncio.run(doctor.topics()) == {doctor.names.uploads}


def test_a_broker_that_is_away(unique: str, tmp_path: Path) -> None:
    """One fault about it; this machine is checked all the same."""
    code, found = Doctor(NOBODY, unique, tmp_path).ask(*STUB)
    assert code == 78
    [fault] = found["broker"]
    assert fault["value"] == NOBODY
    assert "--broker or KAFKA_BOOTSTRAP_SERVERS" in fault["cure"]
    assert "version" not in found
    assert found["disk"][0]["status"] == "ok"


def test_it_takes_what_a_worker_takes() -> None:
    """The same flags, and one for its own output."""
    flags = [{flag for option in each.params for flag in option.opts} for each in (doctor_command, worker)]
    assert flags[0] - flags[1] == {"--json"}
    assert flags[1] <= flags[0]


def test_a_setting_that_is_wrong(unique: str, tmp_path: Path) -> None:
    """It is all that can be said."""
    doctor = Doctor(NOBODY, unique, tmp_path)
    code, found = doctor.ask("--partitions", "0")
    assert code == 78
    assert found.keys() == {"settings"}
    assert "TAGSTREAM_PARTITIONS=0 must be at least 1" in found["settings"][0]["rule"]
    code, said = doctor.say("--partitions", "0")
    assert code == 78
    assert "correct the setting" in said
