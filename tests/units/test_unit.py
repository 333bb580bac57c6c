import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import KafkaError, ProducerFenced
from support.fakes import NAMES, RULES, ListLog, MemoryStore, record, tagged, upload

from schemas.dead_letters import Fault
from schemas.times import steady_time
from schemas.uploads import Record
from streams.fold.changes import Changes, PartitionRows
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Deferred, Outcome, Rejected
from streams.fold.retention import Expired
from streams.fold.retries import RetryPolicy
from streams.units.micro_batch import MicroBatch, fold_and_commit
from streams.units.order import Turn
from streams.units.unit import Unit
from streams.units.work import Pace, WaitForPredecessors, Work


class Harness:
    """A unit over a list and memory, with outcomes that the test decides."""

    def __init__(
        self,
        offsets: list[int],
        *,
        max_in_flight: int = 100,
        max_transaction: int = 100,
        backlog_interval: float = 0.0,
        sweep_interval: float = 0.01,
        max_retries: int = 100,
        store: MemoryStore | None = None,
        rules: FoldRules = RULES,
    ) -> None:
        self.store = store or MemoryStore()
        self.failures: list[str] = []
        self.applied: list[int] = []
        self.started: list[int] = []
        self.answers: dict[int, asyncio.Future[None]] = {}
        self.needs_predecessors: set[int] = set()
        self.slow_sources: set[int] = set()
        self.away: set[int] = set()
        self.images: dict[int, str] = {}
        self.began_at: dict[int, int] = {}
        self.tags = False
        self.log = ListLog([record(offset) for offset in offsets])
        self.unit = Unit(
            0,
            lambda: self.log,
            self.store,
            Work(self, rules, self._commit, self._fail),
            Pace(
                max_in_flight,
                max_transaction,
                backlog_interval=backlog_interval,
                sweep_interval=sweep_interval,
                max_retries=max_retries,
                patience=0.02,
            ),
        )

    async def outcome(
        self, item: Record, _rows: PartitionRows, predecessors: WaitForPredecessors, turn: Turn
    ) -> Outcome:
        self.started.append(item.offset)
        turn.image = self.images.get(item.offset, str(item.offset))
        if item.offset in self.needs_predecessors:
            await predecessors()
            self.began_at[item.offset] = self.store.state.next_offset
        if item.offset in self.slow_sources:
            turn.wait_for_source(None)
        if item.offset in self.answers:
            await self.answers[item.offset]
        if item.offset in self.slow_sources:
            turn.go_on()
        if item.offset in self.away:
            fault = Fault("unknown_host", "fetch", True, "E", "m")
            return Deferred(fault, int(steady_time() * 1000), None)
        if self.tags:
            return tagged(upload(f"img{item.offset}", f"e{item.offset}"), koala=0.9)
        return Rejected(Fault("x", "parse", False, "E", "m"))

    async def _commit(self, batch: MicroBatch) -> None:
        self.applied += [done.record.offset for done in batch.outcomes]
        await fold_and_commit(batch)

    def _fail(self, where: str, error: BaseException) -> None:
        self.failures.append(f"{where}: {error!r}")

    def hold(self, offset: int) -> None:
        self.answers[offset] = asyncio.get_running_loop().create_future()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)


@pytest.fixture
def harness() -> Callable[..., Harness]:
    return Harness


async def test_outcomes_are_applied_in_offset_order(harness: Callable[..., Harness]) -> None:
    """A slow first record holds back the faster ones behind it, and none is lost."""
    subject = harness(list(range(10)))
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: len(subject.started) == 10)
    assert subject.applied == []
    subject.answers[0].set_result(None)
    await subject.until(lambda: subject.store.state.next_offset == 10)
    assert subject.applied == list(range(10))
    await subject.unit.close()
    assert subject.store.closed
    assert subject.failures == []


async def test_the_resume_point_moves_with_the_transaction(harness: Callable[..., Harness]) -> None:
    """Each commit covers at most `max_transaction` records and ends behind the last of them."""
    subject = harness([0, 1, 2, 5, 6], max_transaction=2)  # 3 and 4 are transaction markers
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 7)
    assert subject.store.commits[-1] == 7
    assert len(subject.store.commits) >= 3
    await subject.unit.close()


async def test_no_more_than_the_allowed_records_are_in_flight(harness: Callable[..., Harness]) -> None:
    """Backpressure: the reader waits while `max_in_flight` records are in work."""
    subject = harness(list(range(20)), max_in_flight=4)
    for offset in range(20):
        subject.hold(offset)
    subject.unit.start()
    await asyncio.sleep(0.05)
    assert subject.started == [0, 1, 2, 3]
    for offset in range(20):
        subject.answers[offset].set_result(None)
    await subject.until(lambda: subject.store.state.next_offset == 20)
    await subject.unit.close()


async def test_half_of_the_records_that_may_be_in_work_are_always_enough(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the records took, no more than these gather."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 1e12)
    subject = harness(list(range(4)), max_in_flight=4, backlog_interval=1e9)
    for offset in range(4):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: len(subject.started) == 4)
    subject.answers[0].set_result(None)
    await asyncio.sleep(0.02)
    assert subject.store.commits == []
    subject.answers[1].set_result(None)
    await subject.until(lambda: subject.store.commits == [2])
    await subject.unit.close()


@pytest.mark.parametrize(("unfelt", "commits"), [(0.0, [1, 2, 3]), (1e6, [1, 3])])
async def test_records_that_have_waited_long_gather(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch, unfelt: float, commits: list[int]
) -> None:
    """A transaction waits as long as is little beside the time that its records took."""
    monkeypatch.setattr("streams.units.committing._UNFELT", unfelt)
    subject = harness(list(range(3)), max_in_flight=8, backlog_interval=0.5)
    for offset in range(3):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: len(subject.started) == 3)
    for offset in range(3):
        subject.answers[offset].set_result(None)
        if offset == 0:
            await subject.until(lambda: subject.store.commits == [1])
        await asyncio.sleep(0.05)
    await subject.until(lambda: subject.store.state.next_offset == 3)
    assert subject.store.commits == commits
    await subject.unit.close()


async def test_how_long_sources_took_lets_nothing_gather(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others behind would wait for as long: a transaction waits for half of what we took alone."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 100)
    subject = harness(list(range(3)), backlog_interval=1e9)
    subject.slow_sources = {1, 2}
    for offset in (1, 2):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: subject.store.commits == [1])
    await asyncio.sleep(0.2)
    subject.answers[1].set_result(None)
    await subject.until(lambda: subject.store.commits == [1, 2])
    await subject.unit.close()


async def test_a_record_that_waits_for_the_state_is_not_kept_waiting(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes before it is committed at once, though a backlog would let more gather."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 1e12)
    subject = harness(list(range(4)), max_in_flight=4, backlog_interval=1e9)
    subject.images = dict.fromkeys(range(4), "mine")
    subject.hold(1)
    subject.hold(2)
    subject.needs_predecessors = {3}
    subject.unit.start()
    await subject.until(lambda: subject.store.commits == [1])
    subject.answers[1].set_result(None)
    subject.answers[2].set_result(None)
    await subject.until(lambda: subject.began_at == {3: 3})
    await subject.unit.close()


async def test_a_suspended_unit_commits_nothing(harness: Callable[..., Harness]) -> None:
    """`suspend` returns when no transaction is under way; `resume` goes on where it stood."""
    subject = harness(list(range(3)))
    await subject.unit.suspend()
    subject.unit.start()
    await asyncio.sleep(0.05)
    assert subject.store.commits == []
    subject.unit.resume()
    await subject.until(lambda: subject.store.state.next_offset == 3)
    await subject.unit.close()


async def test_suspend_waits_for_the_transaction_under_way(harness: Callable[..., Harness]) -> None:
    """A commit that has begun is finished before `suspend` returns."""
    subject = harness([0])
    subject.store.gate.clear()
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0])
    suspending = asyncio.create_task(subject.unit.suspend())
    await asyncio.sleep(0.02)
    assert not suspending.done()
    subject.store.gate.set()
    await suspending
    assert subject.store.commits == [1]
    await subject.unit.close()


async def test_closing_ends_while_enough_gathers_for_the_next_transaction(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation that meets the end of a wait is a cancellation; a SIGTERM would wait for ever."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 1e12)
    subject = harness([0, 1, 2, 3], backlog_interval=1e9, max_in_flight=3)
    subject.images = dict.fromkeys(range(4), "mine")
    subject.needs_predecessors = {2}  # so that the transaction after the one under way need not wait
    subject.hold(1)
    subject.store.gate.clear()
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0] and subject.started == [0, 1, 2])
    subject.answers[1].set_result(None)
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(subject.unit.close())
    await asyncio.sleep(0.01)
    subject.store.gate.set()
    async with asyncio.timeout(5):
        await closing
    assert subject.store.closed
    assert subject.store.commits == [1]


async def test_a_record_may_wait_for_the_state_before_it(harness: Callable[..., Harness]) -> None:
    """Waiting for predecessors ends when all of its image before the record is committed."""
    subject = harness(list(range(5)))
    subject.images = dict.fromkeys(range(5), "mine")
    subject.needs_predecessors = {3}
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 5)
    await subject.unit.close()
    assert subject.began_at == {3: 3}
    assert subject.failures == []


async def test_what_is_being_committed_is_not_committed(harness: Callable[..., Harness]) -> None:
    """A record that comes while its image's last one is in the transaction under way waits for its end."""
    subject = harness([0])
    subject.images = dict.fromkeys(range(2), "mine")
    subject.needs_predecessors = {1}
    subject.store.gate.clear()
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0])
    subject.log.add(record(1))
    await subject.until(lambda: subject.started == [0, 1])
    await asyncio.sleep(0.02)
    assert subject.began_at == {}
    subject.store.gate.set()
    await subject.until(lambda: subject.store.state.next_offset == 2)
    assert subject.began_at == {1: 1}
    await subject.unit.close()


async def test_how_long_a_record_waited_for_its_image_lets_nothing_gather(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been another's source that took so long."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 100)
    subject = harness(list(range(2)), backlog_interval=1e9)
    subject.images = dict.fromkeys(range(2), "mine")
    subject.slow_sources = {0}
    subject.needs_predecessors = {1}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.started == [0, 1])
    await asyncio.sleep(0.2)
    subject.answers[0].set_result(None)
    await subject.until(lambda: subject.store.commits == [1, 2])
    await subject.unit.close()


async def test_rows_that_no_longer_count_go_without_an_upload(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep's finds are removed in a transaction of their own, but for those that changed meanwhile."""
    subject = harness([0])
    subject.store.state.apply("trends", "minute:0:koala", b'{"o":0,"n":1}')
    subject.store.state.apply("images", "back", b'{"o":0}')
    expired = [
        Expired("trends", "minute:0:koala", b'{"o":0,"n":1}'),
        Expired("images", "back", b'{"o":0,"deleted":true}'),
    ]
    monkeypatch.setattr("streams.units.committing.expired_rows", lambda *_: [*expired])
    subject.unit.start()
    await subject.until(lambda: not subject.store.state.rows["trends"])
    assert subject.store.state.rows["images"] == {"back": b'{"o":0}'}
    await subject.until(lambda: subject.store.state.next_offset == 1)
    await subject.unit.close()


async def test_how_far_the_log_is_done_is_told_without_an_upload(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store asks for a transaction to tell it, one without changes is made."""
    monkeypatch.setattr("streams.units.committing._TELL_EVERY", 0.01)
    subject = harness([0])
    subject.unit.start()
    await subject.until(lambda: subject.store.commits == [1])
    subject.store.is_group_offset_due = True
    await subject.until(lambda: subject.store.commits == [1, 1])
    await subject.unit.close()


async def test_what_is_no_record_is_passed_over(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the last record that is done, nothing waits: not before one that is in work."""
    monkeypatch.setattr("streams.units.committing._TELL_EVERY", 0.01)
    subject = harness([0, 1])
    subject.hold(1)
    subject.unit.start()
    await subject.until(lambda: subject.store.commits == [1])
    subject.log.reached = 5  # 2 to 4 are markers of transactions
    await asyncio.sleep(0.05)
    assert subject.store.commits == [1]
    subject.answers[1].set_result(None)
    await subject.until(lambda: subject.store.commits == [1, 5])
    subject.log.reached = 8
    await subject.until(lambda: subject.store.commits == [1, 5, 8])
    await asyncio.sleep(0.05)
    assert subject.store.commits == [1, 5, 8]
    await subject.unit.close()


async def test_an_order_that_is_broken_ends_the_process(harness: Callable[..., Harness]) -> None:
    """A log that repeats an offset is not believed."""
    subject = harness([])
    subject.log = ListLog([record(0), record(0)])
    subject.unit.start()
    await subject.until(lambda: bool(subject.failures))
    assert "offset 0 after 0" in subject.failures[0]
    await subject.unit.close()


async def test_a_commit_in_doubt_ends_the_process(harness: Callable[..., Harness]) -> None:
    """An error of the transaction is never guessed at: the process ends, loading gives the truth."""
    subject = harness([0])

    async def fail(_changes: Changes, _next_offset: int) -> None:
        raise ConnectionError("broker gone")

    subject.store.commit = fail  # type: ignore[method-assign]
    subject.unit.start()
    await subject.until(lambda: bool(subject.failures))
    assert "broker gone" in subject.failures[0]
    await subject.unit.close()


@pytest.mark.parametrize("error", [ProducerFenced(), KafkaError("Unexpected error during batch delivery")])
async def test_a_fenced_unit_leaves_the_word_to_the_group(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch, error: KafkaError
) -> None:
    """Whoever took the partition may have taken the name as well: that is told first, where it is so."""
    monkeypatch.setattr("streams.units.unit.FENCE_GRACE", 0.3)

    subject = harness([0])

    async def fail(_changes: Changes, _next_offset: int) -> None:
        raise error

    subject.store.commit = fail  # type: ignore[method-assign]
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0])
    await subject.until(lambda: not subject.unit.is_ready)
    assert subject.failures == []
    await subject.until(lambda: bool(subject.failures))
    await subject.unit.close()


async def test_a_slow_source_holds_back_nobody(harness: Callable[..., Harness]) -> None:
    """Its record is parked, and gives its slot back; it begins once, and its outcome comes once."""
    subject = harness(list(range(10)), max_in_flight=2)
    subject.slow_sources = {0, 4}
    for offset in subject.slow_sources:
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 10)
    assert subject.store.state.rows["retries"].keys() == {"0", "4"}
    await asyncio.sleep(0.5)  # longer than it takes to find what is due
    assert subject.started == list(range(10))
    for offset in subject.slow_sources:
        subject.answers[offset].set_result(None)
    await subject.until(lambda: not subject.store.state.rows["retries"])
    assert [topic for topic, _ in subject.store.outputs] == [NAMES.dead_letters] * 10
    assert subject.started == list(range(10))
    await subject.unit.close()
    assert subject.failures == []


async def test_a_record_waits_for_its_own_image_alone(harness: Callable[..., Harness]) -> None:
    """Of those before it, one of another image may take as long as its source likes."""
    subject = harness([0, 1])
    subject.images = {0: "silent", 1: "mine"}
    subject.slow_sources = {0}
    subject.needs_predecessors = {1}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 2)
    assert not subject.answers[0].done()
    await subject.unit.close()


async def test_one_that_has_waited_for_its_image_is_parked_like_others(
    harness: Callable[..., Harness],
) -> None:
    """Others are overdue already when its source keeps them waiting."""
    subject = harness(list(range(3)), sweep_interval=60)
    subject.images = {0: "mine", 1: "mine", 2: "other"}
    subject.slow_sources = {0, 1}
    subject.needs_predecessors = {1}
    subject.hold(0)
    subject.hold(1)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 3)
    await subject.unit.close()


async def test_retries_of_a_slow_source_hold_back_no_others(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They give their slots back, as first attempts do."""
    monkeypatch.setattr("streams.units.retrying.RETRY_SLOTS", 2)
    rules = FoldRules(NAMES, RULES.retention, RetryPolicy(first=0.01, longest=0.01))
    subject = harness(list(range(6)), rules=rules)
    subject.away = set(range(6))
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 6)
    subject.away = set()
    subject.slow_sources = set(range(5))
    for offset in subject.slow_sources:
        subject.hold(offset)
    await subject.until(lambda: NAMES.dead_letters in {topic for topic, _ in subject.store.outputs})
    assert "5" not in subject.store.state.rows["retries"]
    await subject.unit.close()


async def test_what_was_parked_is_taken_up_again(harness: Callable[..., Harness]) -> None:
    """Another worker, or the same one after its restart, finds the row and works on it anew."""
    subject = harness([0, 1])
    subject.slow_sources = {0}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 2)
    await subject.unit.close()
    successor = harness([], store=subject.store)
    successor.folds = True
    successor.unit.start()
    await successor.until(lambda: not subject.store.state.rows["retries"])
    assert successor.started == [0]
    assert len(subject.store.outputs) == 2
    await successor.unit.close()


@pytest.mark.parametrize("limits", [{"max_retries": 3}, {"size": 1000}])
async def test_sources_that_stay_away_cost_others_nothing(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    """Once as many wait as may, by number or bytes, what fails is given up, as the others get through."""
    monkeypatch.setattr("streams.units.waiting_room.MAX_BYTES", limits.get("size", 10**9))
    monkeypatch.setattr("streams.units.waiting_room._SLOW", 0.01)
    monkeypatch.setattr("streams.units.waiting_room._POLL", 0.001)
    rules = FoldRules(NAMES, RULES.retention, RetryPolicy(first=3600, longest=3600))
    subject = harness(
        list(range(100)), max_in_flight=1, max_retries=limits.get("max_retries", 10**9), rules=rules
    )
    subject.tags = True
    subject.away = set(range(0, 100, 2))
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 100)
    waiting = subject.store.state.rows["retries"]
    letters = [topic for topic, _ in subject.store.outputs if topic == NAMES.dead_letters]
    assert 3 <= len(waiting) <= 8
    assert len(letters) == 50 - len(waiting)
    assert len(subject.store.state.rows["images"]) == 50
    await subject.unit.close()


async def test_where_nothing_gets_through_nothing_is_given_up(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network may be away, or the only host: intake is slow until that has passed."""
    monkeypatch.setattr("streams.units.waiting_room._SLOW", 0.2)
    monkeypatch.setattr("streams.units.waiting_room._POLL", 0.001)
    rules = FoldRules(NAMES, RULES.retention, RetryPolicy(first=0.3, longest=0.3))
    subject = harness(list(range(100)), max_in_flight=1, max_retries=10, rules=rules)
    subject.tags = True
    subject.away = set(range(100))
    subject.unit.start()
    await subject.until(lambda: len(subject.store.state.rows["retries"]) >= 10)
    await asyncio.sleep(0.3)
    assert subject.store.state.next_offset <= 15
    assert subject.store.outputs == []
    subject.away.clear()
    await subject.until(lambda: subject.store.state.next_offset == 100)
    await subject.until(lambda: not subject.store.state.rows["retries"])
    assert NAMES.dead_letters not in {topic for topic, _ in subject.store.outputs}
    assert len(subject.store.state.rows["images"]) == 100
    await subject.unit.close()


@pytest.mark.parametrize("backlog_interval", [0.0, 1e9])
async def test_intake_waits_for_slow_sources_in_the_end(
    harness: Callable[..., Harness], backlog_interval: float
) -> None:
    """Parked records count like those that wait for a retry; for those to be parked, nothing gathers."""
    subject = harness(list(range(20)), max_in_flight=1, max_retries=3, backlog_interval=backlog_interval)
    subject.slow_sources = set(range(0, 20, 2))
    for offset in subject.slow_sources:
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: len(subject.store.state.rows["retries"]) >= 3)
    await asyncio.sleep(0.1)
    started = len(subject.started)
    assert started <= 8
    for offset in subject.slow_sources:
        subject.answers[offset].set_result(None)
    await subject.until(lambda: subject.store.state.next_offset == 20)
    await subject.until(lambda: len(subject.store.outputs) == 20)
    await subject.unit.close()


def test_fakes_build_what_the_pipeline_builds() -> None:
    """The stand-in outcome has the scores that it was given."""
    assert tagged(upload(), koala=0.9).scores["imagga_tagging"][0].tag == "koala"


async def test_records_behind_an_open_transaction_are_lag(harness: Callable[..., Harness]) -> None:
    """A publisher that hangs in its transaction shows: what nobody can read yet is not folded in."""
    subject = harness([0, 1])
    subject.log.end_offset, subject.log.behind_open_transaction = 2, 5
    subject.unit.start()
    await subject.until(lambda: subject.unit.figures.lag == 5)
    assert subject.unit.end_offset == 7
    await subject.unit.close()
