"""What is traced of uploads and of their transactions: the seams. What is here records nothing."""

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import msgspec

from schemas.uploads import Record

Interval = tuple[float, float]
"""From when to when, in seconds of `time.perf_counter`."""

_NOTHING = contextlib.nullcontext()


class UploadSpan:
    """The work on one upload, from its beginning to the commit of its outcome. This one records nothing."""

    def stage(self, _name: str, *, source: str = "") -> AbstractContextManager[object]:  # noqa: ARG002 - recorded elsewhere
        """A part of the work, as long as the context lasts.

        Args:
            _name: What is done: fetch.
            source: URL that it is done with.
        """
        return _NOTHING

    def note(self, name: str, interval: Interval, error: BaseException | None = None) -> None:
        """Take note of a part of the work that was done elsewhere, and of what it failed with."""

    def end(self, outcome: str, error: str | None = None) -> None:
        """Take note that an outcome is committed.

        Args:
            outcome: Its kind.
            error: Reason of a dead letter, or why the upload waits.
        """


class TransactionSpan:
    """One transaction and its uploads. Use it as a context manager. This one records nothing."""

    def stage(self, _name: str) -> AbstractContextManager[object]:
        """A part of the transaction, as long as the context lasts: fold, commit."""
        return _NOTHING

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Nothing to end."""


NO_SPAN, NO_TRANSACTION = UploadSpan(), TransactionSpan()


class Tracing:
    """Begins spans. This one records none, and passes each upload's own trace on."""

    def begin(self, record: Record) -> tuple[Record, UploadSpan]:
        """The record with the trace that all that comes of it belongs to, and the span of its work."""
        return msgspec.structs.replace(record, trace=record.trace_context), NO_SPAN

    def transaction(self, uploads: Iterable[UploadSpan]) -> TransactionSpan:  # noqa: ARG002 - recorded elsewhere
        """The span of a transaction that holds these uploads' outcomes."""
        return NO_TRANSACTION

    async def close(self) -> None:
        """Send what was recorded, if that is quick."""


NO_TRACING = Tracing()
