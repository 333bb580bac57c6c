"""A message of a source, by the operator's mapping, as upload events: each is what one change makes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from schemas.cloudevents import event_headers
from schemas.errors import BadEventError
from schemas.origins import TopicPartitionOffset
from schemas.plain import lookalikes
from schemas.sources.changes import Change, Message, Skipped
from schemas.sources.mapping import READERS, TopicMapping
from schemas.sources.templates import KeyPattern, Template
from schemas.sources.values import bad, shown
from schemas.uploads import Record, UploadType, parse_upload

_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_TEXTS = ("user_id", "etag", "version")  # each may be missing


class Translated(msgspec.Struct, frozen=True):
    """An upload event that a change makes.

    Attributes:
        public_id: The image's.
        value: Its data, as JSON.
        headers: Its attributes, where the change has an identity of its own.
    """

    public_id: str
    value: bytes
    headers: Sequence[tuple[str, bytes]]


Made = Translated | Skipped | BadEventError


class Translator:
    """Reads the messages of one topic."""

    def __init__(self, mapping: TopicMapping) -> None:
        self._mapping = mapping
        self._reader = READERS[mapping.source][0]
        self._options = mapping.options
        self._templates = mapping.templates()
        self._pattern = KeyPattern(mapping.keys) if mapping.keys else None

    def translate(self, record: Record) -> list[Made]:
        """What becomes of a record: upload events, what is passed over, and what is wrong."""
        message = Message(record.value, record.key, record.headers)
        try:
            outcomes = self._reader(message, self._options)
        except BadEventError as error:
            return [error]
        return [made for number, each in enumerate(outcomes) for made in self._made(each, record, number)]

    def _made(self, outcome: Change | Skipped | BadEventError, record: Record, number: int) -> Iterator[Made]:
        if not isinstance(outcome, Change):
            yield outcome
            return
        try:
            yield from self._events(outcome, record, number)
        except BadEventError as error:
            yield error

    def _events(self, change: Change, record: Record, number: int) -> Iterator[Made]:
        values = self._with_key_parts(change.values)
        if values is None:
            yield Skipped(f"key {shown(change.values.get('key'))} does not fit {self._mapping.keys!r}")
            return
        fields = self._fields(change, values)
        if change.before is not None:
            before = self._fields(change, change.before)
            if before == fields:
                yield Skipped("nothing that the mapping names has changed")
                return
            if before["public_id"] != fields["public_id"] and before["public_id"] is not None:
                gone = msgspec.structs.replace(change, kind=UploadType.DELETED, before=None)
                yield self._event(gone, self._fields(gone, change.before), record, f"{number}-before")
        yield self._event(change, fields, record, str(number))

    def _with_key_parts(self, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if self._pattern is None:
            return values
        found = self._pattern.match(str(values.get("key")))
        return None if found is None else {**values, **found}

    def _fields(self, change: Change, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the event that a change makes."""
        deleted = change.kind is UploadType.DELETED
        fields = dict(change.event or {})
        if change.event is None:
            fields["public_id"] = self._needed("public_id", values)
            if not deleted:
                fields["url"] = self._needed("url", values, escape=True) if "url" in self._templates else None
        if "tenant" in self._templates:
            fields["tenant"] = self._needed("tenant", values)
        for name in _TEXTS:
            if name in self._templates and not (deleted and name == "etag"):
                fields[name] = self._templates[name].expanded(values)
        if "tags" in self._templates and not deleted:
            fields["tags"] = _tags(self._templates["tags"], values)
        if "uploaded_at" in self._templates:
            fields["uploaded_at"] = self._time(self._templates["uploaded_at"], values)
        if self._mapping.categorization is not None:
            fields["categorization"] = self._mapping.categorization
        if self._mapping.auto_tagging is not None:
            fields["auto_tagging"] = self._mapping.auto_tagging
        return fields

    def _needed(self, name: str, values: Mapping[str, Any], *, escape: bool = False) -> str:
        template = self._templates[name]
        text = template.expanded(values, escape=escape)
        if text is None:
            missing = next((path for path in template.paths if template.is_missing(path, values)), "")
            rule = f"`{name}` is made of it ({template.text!r}); let the source tell it, or map another"
            raise bad(f"`{missing}` is missing in the message: {rule}")
        return text

    def _time(self, template: Template, values: Mapping[str, Any]) -> str | None:
        found = template.value(values) if template.is_one_value else template.expanded(values)
        if found is None or isinstance(found, str):
            return found
        unit = self._mapping.time_unit
        if type(found) is not int or unit is None:
            known = lookalikes.of_time(found) if isinstance(found, int | float) else None
            raise bad(f"`uploaded_at` is {shown(found)}; {known or 'RFC 3339 is wanted'}: say `time_unit`")
        return lookalikes.rfc3339(found / _PER_SECOND[unit])

    def _event(self, change: Change, fields: Mapping[str, Any], record: Record, number: str) -> Translated:
        event = {name: value for name, value in fields.items() if value is not None}
        if change.version is not None and "version" not in event:
            event["version"] = change.version
        if change.sequencer is not None and "version" not in event:
            event["sequencer"] = change.sequencer
        if "uploaded_at" not in event and change.time is not None:
            event["uploaded_at"] = change.time
        headers: list[tuple[str, bytes]] = []
        if change.id is not None and change.source:
            headers = event_headers(type=change.kind, source=change.source, id=change.id)
        else:
            place = TopicPartitionOffset(record.topic, record.partition, record.offset)
            event = {"event_id": change.id or f"{place}/{number}"} | event | {"type": change.kind}
        try:
            value = orjson.dumps(event)
        except TypeError as error:  # JSON's numbers have no end, ours have
            raise bad(f"the event cannot be written ({error}); use integers of 64 bits") from error
        upload = parse_upload(msgspec.structs.replace(record, key=None, value=value, headers=headers))
        return Translated(upload.public_id, value, headers)


def _tags(template: Template, values: Mapping[str, Any]) -> list[str] | None:
    found = template.value(values) if template.is_one_value else template.expanded(values)
    if found is None:
        return None
    if isinstance(found, str):
        return found.split(",")
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise bad(f"`tags` is {shown(found)}; a list of texts is wanted, or texts with commas")
    return found
