"""From records to rows: what a partition's records tell which receivers. Pure."""

import msgspec

from schemas.topics import TopicNames
from schemas.uploads import Record
from streams.webhooks.delivering import Receivers
from streams.webhooks.merged_log import Batch
from streams.webhooks.messages.notifications import (
    Describe,
    Notification,
    Source,
    notification_of,
    wanted_urls,
)
from streams.webhooks.outbox import Entries, Letter
from streams.webhooks.rows import REPLAY, PendingRow, decode_row, row_of

MAX_BODY = 1_000_000  # bytes of a body, before it is shortened


class Intake:
    """Makes rows of records, as the operator says who is told."""

    def __init__(self, names: TopicNames, receivers: Receivers, describe: Describe | None = None) -> None:
        self._sources = {
            names.categorizations: Source.CATEGORIZATION,
            names.tag_updates: Source.TAG_UPDATE,
            names.dead_letters: Source.DEAD_LETTER,
        }
        self._replays = names.notification_dead_letters
        self._receivers = receivers
        self._describe = describe

    @property
    def topics(self) -> tuple[str, ...]:
        """What is read, by the order of what is equally old."""
        return (*self._sources, self._replays)

    def entries(self, batch: Batch, sequence: int, now: int) -> Entries:
        """What a batch of records adds.

        Args:
            batch: The records.
            sequence: The number of the first row.
            now: Milliseconds since the epoch.
        """
        entries = Entries(next=dict(batch.next))
        for record in batch.records:
            number = sequence + len(entries.rows)
            if record.topic == self._replays:
                self._send_again(entries, record, number, now)
            else:
                entries.rows += self._rows(record, number, now)
        return entries

    def _rows(self, record: Record, sequence: int, now: int) -> list[PendingRow]:
        notification = notification_of(self._sources[record.topic], record, self._describe)
        if notification is None:
            return []
        urls = wanted_urls(notification, self._receivers.urls(notification.cloud))
        if urls:
            notification = _fitting(notification)
        return [row_of(notification, url, number, now) for number, url in enumerate(urls, sequence)]

    def _send_again(self, entries: Entries, record: Record, sequence: int, now: int) -> None:
        """Make a dead letter that somebody wants to be sent a row again; whatever else is there is ours."""
        key = (record.key or b"").decode(errors="replace")
        if not key.startswith(REPLAY) or record.value is None:
            return
        entries.letters.append(Letter(key, None))
        try:
            row = decode_row(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        letter = key.removeprefix(REPLAY)
        entries.letters.append(Letter(letter, None))
        entries.rows.append(msgspec.structs.replace(row, sequence=sequence, since=now, letter=letter))


def _fitting(notification: Notification) -> Notification:
    """A notification that a record has room for: without the findings of add-ons where they are huge."""
    body = notification.body
    if "info" not in body or len(msgspec.json.encode(body)) <= MAX_BODY:
        return notification
    rest = {name: told for name, told in body.items() if name != "info"}
    return notification._replace(body=rest | {"info_left_out": True})
