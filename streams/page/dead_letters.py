"""The newest dead letters: by reason, one by one, and published again."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from schemas.reasons import reason_of
from schemas.times import utc_datetime
from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.letters.box import DeadLetterBox
from streams.kafka.letters.letters import Letter, Selection
from streams.kafka.letters.replay import Replayer
from streams.kafka.offset_ranges import OffsetRanges
from streams.page.requests import AnyRequest, Writing, body_of, caller_of, question_of
from streams.web.access.callers import Caller
from streams.web.access.errors import BadQuestionError, UnavailableError
from streams.web.api.parameters import PREFIX, Parameter, Tenant
from streams.web.replies import Json

LOOKED_AT = 2000  # letters, the newest of all partitions together, about
SHOWN = 100
MOST_REPLAYED = 100
_LONGEST = 4000  # characters of an event
_SMALL = 65_536  # bytes of an event that is read in no time
_PATIENCE = 20.0  # seconds that reading them may take


@dataclass(frozen=True, kw_only=True)
class LettersQuestion:
    """Parameters of `GET /page/dead-letters`."""

    reason: Annotated[str, Parameter(PREFIX, "Letters of this reason alone; empty: of any.", default="")]
    tenant: Tenant


class ToldReason(msgspec.Struct, frozen=True):
    """A reason, and what to do."""

    reason: str
    count: int
    meaning: str
    cure: str


class ToldLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter. `whole`: it holds its event, and can be published again."""

    partition: int
    offset: int
    at: str
    reason: str
    stage: str
    retryable: bool
    message: str
    public_id: str
    event: str
    whole: bool


class Letters(msgspec.Struct, frozen=True):
    """The newest dead letters."""

    looked_at: int
    reasons: list[ToldReason]
    letters: list[ToldLetter]


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Letters that are to be published again, by partition and offset."""

    places: list[tuple[int, int]]
    tenant: str = ""


class Replayed(msgspec.Struct, frozen=True):
    """What came of it. `foreign`: of those that are not ours, or do not hold their event."""

    sent: int
    foreign: int


class DeadLetters:
    """Reads the newest letters whenever they are asked for, one question at a time."""

    def __init__(self, connection: KafkaConnection, names: TopicNames, writing: Writing) -> None:
        self._connection = connection
        self._names = names
        self._writing = writing
        self._turn = asyncio.Lock()

    async def show(self, request: AnyRequest) -> Json:
        """Answer with the newest letters.

        Raises:
            QuestionError: The question is none, or Kafka does not answer.
        """
        question, caller = question_of(request, LettersQuestion), caller_of(request)
        reasons, newest = Counter[str](), deque[ToldLetter](maxlen=SHOWN)
        async with self._reading():
            box = await self._newest()
            async for letter in box.letters(Selection()):
                told = await _read(letter, question.tenant, caller)
                if told is None:
                    continue
                reasons[told.reason] += 1
                if question.reason in {"", told.reason}:
                    newest.append(told)
        told_reasons = [_reason(code, count) for code, count in reasons.most_common()]
        letters = sorted(newest, key=lambda each: each.at, reverse=True)
        return Json(msgspec.json.encode(Letters(reasons.total(), told_reasons, letters)))

    async def replay(self, request: AnyRequest) -> Json:
        """Publish letters again.

        Raises:
            QuestionError: The caller may not, or Kafka does not answer.
        """
        asked = await body_of(request, Replay)
        caller = self._writing.admit(request, asked.tenant)
        if not 1 <= len(asked.places) <= MOST_REPLAYED:
            message = f"places names {len(asked.places)} letters; name 1 to {MOST_REPLAYED}"
            raise BadQuestionError("invalid_places", message)
        async with self._reading():
            box = await DeadLetterBox.open(self._connection, self._names)
            places = list(dict.fromkeys(asked.places))
            for place in places:  # all of them before any is published
                await _check(box, place, asked.tenant, caller)
            async with Replayer(self._connection, self._names) as replayer:
                await replayer.replay(_each(box, places))
        return Json(msgspec.json.encode(Replayed(replayer.sent, replayer.foreign)))

    async def _newest(self) -> DeadLetterBox:
        box = await DeadLetterBox.open(self._connection, self._names)
        ranges = box.ranges
        each = LOOKED_AT // max(len(ranges.ends), 1)
        starts = {number: max(start, ranges.ends[number] - each) for number, start in ranges.starts.items()}
        return DeadLetterBox(self._connection, self._names, OffsetRanges(ranges.topic, starts, ranges.ends))

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PATIENCE), self._turn:
                yield
        except (OSError, RuntimeError) as error:  # aiokafka's errors are of the latter kind
            reason = f"Kafka does not answer: {error}; try again in a moment"
            raise UnavailableError("kafka_away", reason) from error


async def _read(letter: Letter, tenant: str, caller: Caller) -> ToldLetter | None:
    """A letter as it is shown, or None where it is not for the caller.

    Of what cannot be read nobody knows whose it is: operators alone see it.
    """

    def read() -> ToldLetter | None:
        is_for = caller.tenants is None if letter.tenant is None else letter.tenant == tenant
        return _told(letter) if is_for else None

    small = len(letter.record.value or b"") <= _SMALL
    return read() if small else await asyncio.to_thread(read)


async def _check(box: DeadLetterBox, place: tuple[int, int], tenant: str, caller: Caller) -> None:
    try:
        told = await _read(await box.letter_at(*place), tenant, caller)
    except ValueError:
        told = None
    if told is None:
        rule = f"there is no dead letter {place[0]}/{place[1]} of this tenant; look at the list anew"
        raise BadQuestionError("invalid_places", rule)


async def _each(box: DeadLetterBox, places: Sequence[tuple[int, int]]) -> AsyncIterator[Letter]:
    for place in places:
        yield await box.letter_at(*place)


def _reason(code: str, count: int) -> ToldReason:
    reason = reason_of(code)
    return ToldReason(code, count, reason.meaning, reason.cure)


def _told(letter: Letter) -> ToldLetter:
    record, fault = letter.record, letter.fault
    return ToldLetter(
        partition=record.partition,
        offset=record.offset,
        at=utc_datetime(record.timestamp).isoformat(),
        reason=fault.reason,
        stage=fault.stage,
        retryable=fault.retryable,
        message=fault.message,
        public_id=letter.image[:255],
        event=(record.value or b"")[: 4 * _LONGEST].decode(errors="replace")[:_LONGEST],
        whole=letter.whole,
    )
