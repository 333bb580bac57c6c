"""The AsyncAPI document: valid, whole, and in step with topics and types."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from support.examples import Programs

from schemas.__main__ import DOCUMENT, FOLDER, channels_document
from schemas.cloudevents import open_envelope
from schemas.contracts.asyncapi import document
from schemas.contracts.channels import CHANNELS
from schemas.contracts.messages import Message, example_of
from schemas.dead_letters import FAULT_HEADERS
from schemas.json_schemas import PUBLISHED
from schemas.streams.records import STREAMS
from schemas.topics import TABLES, TopicNames
from schemas.uploads import Record, parse_upload

PARSER = Path(__file__).parent / "parser"
NOW = 1_770_000_000_000  # 2026-02-02
NAMES = TopicNames("tagstream", streams=STREAMS)
MESSAGES = [message for channel in CHANNELS for message in channel.messages]


@pytest.fixture
def checked_in() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER.parent / DOCUMENT).read_bytes())
    return found


def test_every_topic_for_others_is_a_channel(checked_in: dict[str, Any]) -> None:
    """All that workers make, but for the rows of their state."""
    state = {NAMES.changelog(table) for table in TABLES}
    addresses = {channel["address"] for channel in checked_in["channels"].values()}
    assert addresses == NAMES.told_configs.keys() - state - {NAMES.rises_changelog}


def test_retention_and_compaction_are_those_of_the_topics(checked_in: dict[str, Any]) -> None:
    """What a consumer must know of how long a record is there."""
    for channel in checked_in["channels"].values():
        told = channel["bindings"]["kafka"]["topicConfiguration"]
        made = NAMES.told_configs[channel["address"]]
        assert ",".join(told["cleanup.policy"]) == made["cleanup.policy"]
        assert {name: str(told[name]) for name in made.keys() - {"cleanup.policy"}} == {
            name: text for name, text in made.items() if name != "cleanup.policy"
        }


def test_each_message_is_explained(checked_in: dict[str, Any]) -> None:
    """Its key, each of its headers, and each schema."""
    for message in checked_in["components"]["messages"].values():
        assert message["summary"]
        assert message["bindings"]["kafka"]["key"]["description"]
        assert all(header["description"] for header in message["headers"]["properties"].values())
        assert set(message["headers"]["required"]) <= message["headers"]["properties"].keys()
    assert all(schema["description"] for schema in checked_in["components"]["schemas"].values())
    assert checked_in["components"]["messages"]["dead-letter"]["headers"]["properties"].keys() >= set(
        FAULT_HEADERS
    )


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_examples_fit_their_schemas(message: Message, checked_in: dict[str, Any]) -> None:
    """By the schemas in the document, and where it is an upload by the code that reads it."""
    told = checked_in["components"]["messages"][message.name]
    if message.example is None:
        assert message.schema is None
        return
    (example,) = told["examples"]
    assert example["payload"] == example_of(message)
    whole = {**told["payload"], "components": checked_in["components"]}
    Draft7Validator(whole).validate(example["payload"])
    Draft7Validator(told["headers"]).validate(example["headers"])
    if message.schema == "upload-event":
        headers = [(name, text.encode()) for name, text in example["headers"].items()]
        if message.enveloped:
            headers.append(("content-type", b"application/cloudevents+json"))
        value = json.dumps(example["payload"]).encode()
        assert open_envelope(value, headers).data
        record = Record(
            topic="t", partition=0, offset=0, timestamp=NOW, key=b"koala", value=value, headers=headers
        )
        assert parse_upload(record).public_id == "koala"


def test_headers_of_examples_are_refused_if_wrong(checked_in: dict[str, Any]) -> None:
    """The schema of headers says something: another type of event does not fit."""
    headers = checked_in["components"]["messages"]["tag-update"]
    (example,) = headers["examples"]
    validator = Draft7Validator(headers["headers"])
    assert not validator.is_valid(example["headers"] | {"ce_type": "image.painted"})
    assert not validator.is_valid({})


def test_it_names_the_topics_of_its_deployment() -> None:
    """With the operator's prefix, partitions and replicas."""
    made = document(TopicNames("app", "eu."), "1", partitions=12, replication=3)
    uploads = made["channels"]["uploads"]
    assert uploads["address"] == "eu.image.uploads"
    assert uploads["bindings"]["kafka"] | {"partitions": 12, "replicas": 3} == uploads["bindings"]["kafka"]


def test_each_record_is_in_it() -> None:
    """The types of records that are published as JSON Schema are those of the channels."""
    answers = {name for name, (title, _) in PUBLISHED.items() if title.startswith("Answer ")}
    records = {name for each in MESSAGES for name in (each.schema, each.key_schema) if name}
    assert records == PUBLISHED.keys() - answers


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("npm"), reason="needs node and npm")
async def test_asyncapis_own_parser_finds_nothing_wrong(tmp_path: Path) -> None:
    """Neither an error nor a warning; and it does find what is wrong with a document that is broken."""
    judge = tmp_path / "judge"
    shutil.copytree(PARSER, judge)
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts")
    await Programs({}).output_of("npm", "ci", "--prefix", str(judge), *quiet)
    good, broken = tmp_path / "good.json", tmp_path / "broken.json"
    good.write_text(channels_document())
    broken.write_text(channels_document().replace('"action": "send"', '"action": "shout"'))
    program = str(judge / "judge.js")
    assert json.loads(await Programs({}).output_of("node", program, str(good))) == []
    assert "action" in await Programs({}).output_of("node", program, str(broken))
