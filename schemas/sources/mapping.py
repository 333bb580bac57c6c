"""The operator's file that says which topic is read how, and what of it becomes which field of an event."""

import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from schemas.files.toml_files import FileFaultsError, check_size, parse_toml, read_bounded
from schemas.names import nearest
from schemas.sources import azure, cloud_events, cloudinary, debezium, eventbridge, google, payloads, s3
from schemas.sources.changes import Options, Reader
from schemas.sources.kinds import MEANINGS
from schemas.sources.templates import KeyPattern, Template
from schemas.topics import MAX_INPUTS, topic_fault

MAX_BYTES = 1_048_576
_BUCKETS = {"public_id": "{bucket}/{key}", "etag": "{etag}"}
_NOTHING: Mapping[str, str] = {}
READERS: Mapping[str, tuple[Reader, Mapping[str, str]]] = {
    "s3": (s3.read, _BUCKETS | {"url": "s3://{bucket}/{key}"}),
    "eventbridge": (eventbridge.read, _BUCKETS | {"url": "s3://{bucket}/{key}"}),
    "gcs": (google.read, _BUCKETS | {"url": "gs://{bucket}/{key}"}),
    "azure": (azure.read, _BUCKETS | {"url": "{url}"}),
    "cloudinary": (cloudinary.read, {"public_id": "{public_id}", "url": "{secure_url}", "etag": "{etag}"}),
    "debezium": (debezium.read_rows, _NOTHING),
    "debezium-outbox": (debezium.read_outbox, _NOTHING),
    "connect": (payloads.read_connect, _NOTHING),
    "confluent": (payloads.read_confluent, _NOTHING),
    "json": (payloads.read_json, _NOTHING),
    "cloudevents": (cloud_events.read, _NOTHING),
}
"""How each kind of source is read, and the templates of fields where a mapping says none."""

TEMPLATES = ("public_id", "url", "user_id", "tenant", "tags", "etag", "version", "uploaded_at")
_WITH_KEYS = frozenset({"s3", "eventbridge", "gcs", "azure"})
_WITH_TYPES = frozenset({"debezium-outbox", "connect", "confluent", "json", "cloudevents"})
Unit = Literal["seconds", "milliseconds", "microseconds"]


class TopicMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a topic is read. Fields of events are templates, such as `{bucket}/{key}`, or texts.

    Attributes:
        source: The kind of source.
        keys: Pattern of the objects' keys that are meant, such as `users/{user}/**`; its names are values.
        removed_versions: `skip`, or `delete` where the removal of one version removes the image.
        escaped: Whether keys are escaped, for servers that are not known.
        type: Template of an event's type.
        types: What types mean: `upload`, `update`, `delete` or `skip`.
        tombstones: `skip`, or `delete`: a key without a value removes the image that it names.
        time_unit: Of an `uploaded_at` that is a number.
        categorization: Add-ons to run, separated by commas.
        auto_tagging: Threshold.
    """

    source: str
    public_id: str | None = None
    url: str | None = None
    user_id: str | None = None
    tenant: str | None = None
    tags: str | None = None
    etag: str | None = None
    version: str | None = None
    uploaded_at: str | None = None
    keys: str | None = None
    removed_versions: Literal["skip", "delete"] = "skip"
    escaped: bool | None = None
    type: str | None = None
    types: dict[str, Literal["upload", "update", "delete", "skip"]] = {}
    tombstones: Literal["skip", "delete"] = "skip"
    time_unit: Unit | None = None
    categorization: str | None = None
    auto_tagging: float | None = None

    def templates(self) -> dict[str, Template]:
        """The template of each field that has one."""
        return dict(_templates(self))

    @property
    def options(self) -> Options:
        """What the source's reader is told."""
        return Options(
            removed_versions=self.removed_versions == "delete",
            escaped=self.escaped,
            types=self.types,
            type=self.type,
            tombstones=self.tombstones == "delete",
            wants_event=self.holds_events,
        )

    @property
    def holds_events(self) -> bool:
        """Whether the messages hold upload events whole: no template says what an image is called."""
        return "public_id" not in READERS[self.source][1] and self.public_id is None and self.url is None


def _templates(mapping: TopicMapping) -> Iterator[tuple[str, Template]]:
    defaults = READERS[mapping.source][1]
    for name in TEMPLATES:
        text = getattr(mapping, name) or defaults.get(name)
        if text is not None:
            yield name, Template(text)


class SourcesFile(msgspec.Struct, frozen=True):
    """All mappings, by topic."""

    topics: Mapping[str, TopicMapping] = {}


class SourcesFileError(FileFaultsError):
    """A file of sources cannot be used."""

    what = "sources"
    most_bytes = MAX_BYTES


def read_sources(path: Path) -> SourcesFile:
    """Read a file of sources.

    Raises:
        SourcesFileError: It cannot be read, or breaks a rule.
    """
    return parse_sources(read_bounded(path, SourcesFileError), path)


def parse_sources(raw: bytes, path: Path) -> SourcesFile:
    """Read what is in a file of sources.

    Args:
        raw: The file's bytes.
        path: Where they are from, for the messages.

    Raises:
        SourcesFileError: It breaks a rule.
    """
    check_size(raw, path, SourcesFileError)
    content = parse_toml(
        raw, path, SourcesFileError, 'a topic\'s section begins with [topics."photo-events"]'
    )
    if faults := list(_file_faults(content)):
        raise SourcesFileError(path, faults)
    return msgspec.convert(content, SourcesFile)


def _file_faults(content: Mapping[str, Any]) -> Iterator[str]:
    for name in content.keys() - {"topics"}:
        yield f'{name} = {content[name]!r:.64}: only sections [topics."NAME"] are known'
    topics = content.get("topics")
    if not isinstance(topics, dict) or not topics:
        yield 'topics: there are none; name one in a section [topics."photo-events"]'
        return
    if len(topics) > MAX_INPUTS:
        yield f"topics: there are {len(topics)}; at most {MAX_INPUTS} are possible, split them"
    for topic, section in topics.items():
        where = f'topics."{topic}"'
        if fault := topic_fault(topic):
            yield f"{where}: {fault}"
        if not isinstance(section, dict):
            yield f"{where} = {section!r:.64}: must be a section [{where}]"
        else:
            yield from _section_faults(where, section)


def _section_faults(where: str, section: Mapping[str, Any]) -> Iterator[str]:
    source = section.get("source")
    if source not in READERS:
        shown = "is missing" if source is None else f"= {source!r:.64}: is no source"
        yield f"{where}.source {shown}; {_meant(str(source), READERS)}"
        return
    faulty = False
    for key, value in section.items():
        for fault in _value_faults(key, value):
            faulty = True
            yield f"{where}.{key} = {value!r:.64}: {fault}"
    if not faulty:
        yield from (f"{where}.{fault}" for fault in _misfits(msgspec.convert(section, TopicMapping)))


def _value_faults(key: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - TOML
    kinds = _kinds()
    if key not in kinds:
        yield f"is no setting of a source; {_meant(key, kinds)}"
        return
    try:
        msgspec.convert(value, kinds[key])
    except msgspec.ValidationError as error:
        choices = f": choose of {', '.join(MEANINGS)}" if key == "types" else ""
        yield f"{error}{choices}"
        return
    try:
        if key in {*TEMPLATES, "type"}:
            Template(value)
        elif key == "keys":
            KeyPattern(value)
    except ValueError as error:
        yield str(error)


@functools.cache
def _kinds() -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(TopicMapping)}


def _misfits(mapping: TopicMapping) -> Iterator[str]:
    """What fits by itself, and not together."""
    if mapping.keys is not None and mapping.source not in _WITH_KEYS:
        yield f"keys = {mapping.keys!r}: source {mapping.source} has no keys of objects; leave it out"
    if (mapping.type or mapping.types) and mapping.source not in _WITH_TYPES:
        yield f"types: source {mapping.source} has types of its own; leave it out"
    if mapping.auto_tagging is not None and not 0 <= mapping.auto_tagging <= 1:
        yield f"auto_tagging = {mapping.auto_tagging}: a number from 0 to 1 is wanted, such as 0.4"
    if mapping.source == "debezium" and mapping.public_id is None:
        yield 'public_id is missing: rows name no image by themselves; say public_id = "{id}" or the like'
    if (
        mapping.public_id is None
        and mapping.url is not None
        and "public_id" not in READERS[mapping.source][1]
    ):
        yield "public_id is missing beside `url`: say what an image is called"
    if mapping.tombstones == "delete" and mapping.public_id is None:
        yield 'tombstones = "delete": say public_id = "{key}", or by which column of the key'
    if mapping.time_unit and not mapping.uploaded_at:
        yield f"time_unit = {mapping.time_unit!r}: it is the unit of `uploaded_at`, which is missing"


def _meant(name: str, known: Collection[str]) -> str:
    meant = nearest(name, known)
    return f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
