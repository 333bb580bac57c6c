"""Every topic that is a contract with others, with the messages in it. State topics are none."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.contracts.messages import (
    CATEGORIZATION,
    DEAD_LETTER,
    TAG_UPDATE,
    UPLOAD,
    UPLOAD_BINARY,
    UPLOAD_STRUCTURED,
    Message,
)
from schemas.contracts.stream_messages import IMAGE_TAG, TAG_COUNT, TREND
from schemas.json_schemas import rendered_schema
from schemas.topics import TopicNames


@dataclass(frozen=True)
class Channel:
    """One topic.

    Attributes:
        name: The attribute of `TopicNames` that has its name.
        title: For people.
        messages: The kinds of messages in it.
        written: Whether we write it; else others do.
    """

    name: str
    title: str
    messages: tuple[Message, ...]
    written: bool = True

    def address(self, names: TopicNames) -> str:
        """The topic's name."""
        address: str = getattr(names, self.name)
        return address


CHANNELS = (
    Channel("uploads", "Upload events in", (UPLOAD, UPLOAD_BINARY, UPLOAD_STRUCTURED), written=False),
    Channel("categorizations", "Categorizations out", (CATEGORIZATION,)),
    Channel("tag_updates", "Tag updates out", (TAG_UPDATE,)),
    Channel("dead_letters", "Dead letters out", (DEAD_LETTER,)),
    Channel("image_tags", "Tags of images out", (IMAGE_TAG,)),
    Channel("tag_counts", "Counts of tags out", (TAG_COUNT,)),
    Channel("image_trends", "Rises of tags out", (TREND,)),
)


@dataclass(frozen=True)
class TopicSchema:
    """The schema of a topic's values.

    Attributes:
        topic: The topic.
        name: Of the schema, in `PUBLISHED`.
        written: Whether we write the values.
    """

    topic: str
    name: str
    written: bool

    @property
    def text(self) -> str:
        """The schema as it is published."""
        return rendered_schema(self.name)


def topic_schemas(names: TopicNames) -> Iterator[TopicSchema]:
    """The schema of each topic whose values have one."""
    for channel in CHANNELS:
        schema = channel.messages[0].schema
        if schema is not None and channel.address(names) in names.told_configs:
            yield TopicSchema(channel.address(names), schema, channel.written)
