"""What is still to be told, as rows of the topic `image.notifications`: compacted, one per receiver.

A row is there from the transaction that takes its record off the output topics until the one behind its
delivery. Its key is its number in the partition, by which rows are ordered. Beside them lies `@offset`: how
far each of the topics is read, and the next number.
"""

from typing import Any

import msgspec

from streams.webhooks.messages.notifications import Notification

REPLAY = "@replay:"  # keys of dead letters that somebody wants to be sent again
_ENCODER = msgspec.json.Encoder()


class PendingRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification on its way to one receiver.

    Attributes:
        sequence: Its number in the partition.
        since: When it was made, milliseconds since the epoch.
        letter: Key of the dead letter that it was before, if somebody sent it again.
    """

    sequence: int
    since: int
    kind: str
    cloud: str
    asset: str
    url: str
    body: dict[str, Any]
    api_key: str | None = None
    letter: str | None = None

    @property
    def key(self) -> str:
        """The row's key; as text in the order of their numbers."""
        return f"n{self.sequence:016d}"

    @property
    def lane(self) -> tuple[str, str, str]:
        """What keeps its order: one asset's notifications for one receiver."""
        return self.cloud, self.asset, self.url


class Progress(msgspec.Struct, kw_only=True):
    """The row `@offset`.

    Attributes:
        next: By topic the first offset that is not read.
        sequence: The number of the next row.
    """

    next: dict[str, int] = msgspec.field(default_factory=dict)
    sequence: int = 0


def row_of(notification: Notification, url: str, sequence: int, since: int) -> PendingRow:
    """The row of a notification for one receiver."""
    return PendingRow(
        sequence=sequence,
        since=since,
        kind=notification.kind,
        cloud=notification.cloud,
        asset=notification.asset,
        url=url,
        body=notification.body,
        api_key=notification.api_key,
    )


def encode(row: PendingRow | Progress) -> bytes:
    """A row as it is kept."""
    return _ENCODER.encode(row)


def decode_row(value: bytes) -> PendingRow:
    """Read a row.

    Raises:
        msgspec.DecodeError: It is none.
    """
    return msgspec.json.decode(value, type=PendingRow)


def decode_progress(value: bytes) -> Progress:
    """Read the row `@offset`."""
    return msgspec.json.decode(value, type=Progress)
