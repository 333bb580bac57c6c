import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import KafkaError, ProducerFenced
from support.fakes import NAMES, RULES, ListLog, MemoryStore, record, tagged, upload

from schemas.dead_letters import Fault
from schemas.times import steady_time
from schemas.topics import Progress
from schemas.uploads import Record
from streams.fold.changes import Changes, PartitionRows
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Deferred, Outcome, Parked, Rejected
from streams.fold.retention import Expired
from streams.fold.retries import RetryPolicy
from streams.fold.rows import ImageKey
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
        patience: float = 0.02,
    ) -> None:
        self.store = store or MemoryStore()
        self.failures: list[str] = []
        self.applied: list[int] = []
        self.started: list[int] = []
        self.asked: list[int] = []
        self.answers: dict[int, asyncio.Future[None]] = {}
        self.needs_predecessors: set[int] = set()
        self.slow_sources: set[int] = set()
        self.away: set[int] = set()
        self.images: dict[int, str] = {}
        self.began_at: dict[int, int] = {}
        self.tags = False
        self.many_tags: set[int] = set()
        self.overloaded = False
        self.log = ListLog([record(offset) for offset in offsets])
        self.unit = Unit(
            0,
            lambda: self.log,
            self.store,
            Work(self, rules, self._commit, self._fail, overloaded=lambda: self.overloaded),
            Pace(
                max_in_flight,
                max_transaction,
                backlog_interval=backlog_interval,
                sweep_interval=sweep_interval,
                max_retries=max_retries,
                patience=patience,
            ),
        )

    async def outcome(
        self, item: Record, _rows: PartitionRows, predecessors: WaitForPredecessors, turn: Turn
    ) -> Outcome:
        self.started.append(item.offset)
        turn.is_about(self.images.get(item.offset, str(item.offset)))
        if item.offset in self.needs_predecessors:
            await predecessors()
            self.began_at[item.offset] = self.store.state.next_offset
        if item.offset in self.slow_sources or self.tags:
            await turn.wait_for_source(None)
            self.asked.append(item.offset)
        if item.offset in self.answers:
            await self.answers[item.offset]
        if item.offset in self.slow_sources or self.tags:
            turn.go_on()
        if item.offset in self.away:
            fault = Fault("unknown_host", "fetch", True, "E", "m")
            return Deferred(fault, int(steady_time() * 1000), None)
        if self.tags:
            tags = [f"tag-{number}" for number in range(1000)] if item.offset in self.many_tags else None
            return tagged(upload(f"img{item.offset}", f"e{item.offset}", tags=tags), koala=0.9)
        return Rejected(Fault("x", "parse", False, "E", "m"))

    async def _commit(self, batch: MicroBatch) -> None:
        self.applied += [
            done.record.offset for done in batch.outcomes if not isinstance(done.outcome, Parked)
        ]
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


async def test_images_do_not_wait_for_one_another(harness: Callable[..., Harness]) -> None:
    """A slow first record holds back none of other images; the watermark waits for it alone."""
    subject = harness(list(range(10)))
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: len(subject.applied) == 9)
    assert subject.applied == list(range(1, 10))
    assert subject.store.state.progress == Progress(0, (1, 9))
    subject.answers[0].set_result(None)
    await subject.until(lambda: subject.store.state.progress == Progress(10))
    assert subject.applied == [*range(1, 10), 0]
    await subject.unit.close()
    assert subject.store.closed
    assert subject.failures == []


async def test_an_image_keeps_the_order_of_its_records(harness: Callable[..., Harness]) -> None:
    """Those behind a slow one of their image wait for it, however long they have been done."""
    subject = harness(list(range(10)))
    subject.images = dict.fromkeys(range(0, 10, 2), "mine")
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: len(subject.applied) == 5)
    assert subject.applied == list(range(1, 10, 2))
    subject.answers[0].set_result(None)
    await subject.until(lambda: subject.store.state.next_offset == 10)
    assert subject.applied[5:] == list(range(0, 10, 2))
    await subject.unit.close()


async def test_what_is_folded_in_above_the_watermark_is_not_repeated(harness: Callable[..., Harness]) -> None:
    """Whoever takes over begins exactly what is not folded in, and says so all the while."""
    subject = harness(list(range(20)))
    for offset in (0, 7, 8):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: len(subject.applied) == 17)
    await subject.unit.close()
    assert subject.store.state.progress == Progress(0, (1, 6, 2, 11))
    successor = harness(list(range(22)), store=subject.store)
    successor.hold(8)
    successor.unit.start()
    await successor.until(lambda: len(successor.applied) == 4)
    assert successor.started == [0, 7, 8, 20, 21]
    assert successor.store.state.progress == Progress(8, (1, 13))
    successor.answers[8].set_result(None)
    await successor.until(lambda: successor.store.state.progress == Progress(22))
    assert len(subject.store.outputs) == 22
    await successor.unit.close()


async def test_what_was_expected_and_is_gone_is_passed_over(harness: Callable[..., Harness]) -> None:
    """Retention takes records off the log that were not folded in; the watermark does not wait for them."""
    store = MemoryStore()
    await store.commit(Changes(store.state.rows), 2, (1, 3, 2, 4))
    subject = harness([12, 13], store=store)
    subject.hold(13)
    subject.unit.start()
    await subject.until(lambda: store.state.progress == Progress(13))
    assert subject.started == [12, 13]
    await subject.unit.close()


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
    """Others behind would wait for as long: a transaction waits for a part of what we took alone."""
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


async def test_a_tenants_backlog_keeps_no_other_tenant_waiting(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one tenant's records took long, and would not feel it, another one's leave when it suits them."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 1e3)
    subject = harness(list(range(3)), max_in_flight=8, backlog_interval=1e9)
    subject.images = {1: ImageKey("flood", "one").encode(), 2: ImageKey("calm", "two").encode()}
    subject.slow_sources = {2}
    for offset in (1, 2):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: subject.store.commits == [1])
    await asyncio.sleep(0.2)
    subject.answers[1].set_result(None)
    await asyncio.sleep(0.02)
    assert subject.store.commits == [1]
    subject.answers[2].set_result(None)
    await subject.until(lambda: subject.store.commits == [1, 3])
    await subject.unit.close()


async def test_a_record_in_less_of_a_hurry_makes_nobody_wait_for_longer(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done leaves when it suits it, though one that took long is done meanwhile."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 1e4)
    subject = harness(list(range(3)), max_in_flight=8, backlog_interval=1e9)
    subject.slow_sources = {1}
    for offset in (1, 2):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: subject.store.commits == [1])
    await asyncio.sleep(0.2)
    subject.answers[1].set_result(None)
    await asyncio.sleep(0.01)
    subject.answers[2].set_result(None)
    await subject.until(lambda: 1 in subject.applied)
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


async def test_a_group_that_decides_anew_waits_not_for_ever(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that nobody answers is left to its deadline; no other begins."""
    monkeypatch.setattr("streams.units.unit.SUSPENSION", 0.02)
    subject = harness([0, 1])
    subject.hold(1)
    subject.store.gate.clear()
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0])
    async with asyncio.timeout(5):
        await subject.unit.suspend()
    subject.answers[1].set_result(None)
    subject.store.gate.set()
    await subject.until(lambda: subject.store.commits == [1])
    await asyncio.sleep(0.05)
    assert subject.applied == [0]
    await subject.unit.close()


async def test_a_fence_of_who_gives_the_partition_back_is_no_fault(
    harness: Callable[..., Harness],
) -> None:
    """Whoever owns it by now has undone the transaction, and does its work anew."""
    subject = harness([0])
    gate = asyncio.Event()

    async def fail(*_: object) -> None:
        await gate.wait()
        raise ProducerFenced

    subject.store.commit = fail  # type: ignore[method-assign]
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0])
    closing = asyncio.create_task(subject.unit.close())
    await asyncio.sleep(0.01)
    gate.set()
    await closing
    assert subject.failures == []
    assert subject.store.closed


async def test_closing_ends_while_enough_gathers_for_the_next_transaction(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation that meets the end of a wait is a cancellation; a SIGTERM would wait for ever."""
    monkeypatch.setattr("streams.units.committing._UNFELT", 1e12)
    subject = harness([0, 1, 2, 3], backlog_interval=1e9, max_in_flight=3)
    subject.images = dict.fromkeys(range(4), "mine")
    subject.needs_predecessors = {2, 3}  # so that the transaction after the one under way need not wait
    subject.hold(1)
    subject.store.gate.clear()
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0] and subject.started == [0, 1, 2, 3])
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

    async def fail(*_: object) -> None:
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

    async def fail(*_: object) -> None:
        raise error

    subject.store.commit = fail  # type: ignore[method-assign]
    subject.unit.start()
    await subject.until(lambda: subject.applied == [0])
    await subject.until(lambda: not subject.unit.is_ready)
    assert subject.failures == []
    await subject.until(lambda: bool(subject.failures))
    await subject.unit.close()


async def test_a_slow_source_holds_back_nobody(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record gives its slot back, and becomes a row once the window is full; it begins and ends once."""
    monkeypatch.setattr("streams.units.window.MAX_RECORDS", 5)
    subject = harness(list(range(10)), max_in_flight=2)
    subject.slow_sources = {0, 4}
    for offset in subject.slow_sources:
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.progress == Progress(10))
    assert subject.applied == [1, 2, 3, 5, 6, 7, 8, 9]
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


async def test_a_slow_source_holds_the_watermark_back_for_a_while_alone(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a row keeps its record, and nothing is behind; its work goes on."""
    monkeypatch.setattr("streams.units.window.HOLDS_UP", 0.2)
    monkeypatch.setattr("streams.units.committing._TELL_EVERY", 0.01)
    subject = harness([0, 1])
    subject.slow_sources = {0}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.progress == Progress(0, (1, 1)))
    await subject.until(lambda: subject.store.state.progress == Progress(2))
    assert subject.store.state.rows["retries"].keys() == {"0"}
    subject.answers[0].set_result(None)
    await subject.until(lambda: subject.applied == [1, 0])
    assert subject.started == [0, 1]
    await subject.unit.close()


async def test_the_window_is_bounded_in_bytes(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many records begin as may lie in memory; the source of the oldest one is slow, so that it goes."""
    monkeypatch.setattr("streams.units.window.MAX_BYTES", 30)  # of five records each
    subject = harness(list(range(20)))
    subject.slow_sources = {0, 1, 2, 3, 4, 5}
    for offset in subject.slow_sources:
        subject.hold(offset)
    subject.overloaded = True
    subject.unit.start()
    await asyncio.sleep(0.1)
    assert len(subject.started) == 6
    subject.overloaded = False
    await subject.until(lambda: len(subject.started) == 20)
    await subject.unit.close()


async def test_our_own_overload_is_no_slow_source(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where fetches wait for each other, no record gives its slot away, and none becomes a row."""
    monkeypatch.setattr("streams.units.window.MAX_RECORDS", 5)
    subject = harness(list(range(10)), max_in_flight=6)
    subject.overloaded = True
    subject.slow_sources = set(range(10))
    for offset in subject.slow_sources:
        subject.hold(offset)
    subject.unit.start()
    await asyncio.sleep(0.2)
    assert subject.started == list(range(5))
    assert subject.store.commits == []
    subject.overloaded = False
    await subject.until(lambda: subject.started == list(range(10)))
    assert subject.store.state.rows["retries"]
    await subject.unit.close()


async def test_a_record_waits_for_its_own_image_alone(harness: Callable[..., Harness]) -> None:
    """Of those before it, one of another image may take as long as its source likes."""
    subject = harness([0, 1])
    subject.images = {0: "silent", 1: "mine"}
    subject.slow_sources = {0}
    subject.needs_predecessors = {1}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.progress.holds(1))
    assert not subject.answers[0].done()
    await subject.unit.close()


async def test_what_follows_a_kept_record_of_its_image_is_kept_as_well(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it waits for it or is done: the log goes on, and the order of the image stays."""
    monkeypatch.setattr("streams.units.window.MAX_RECORDS", 3)
    subject = harness(list(range(8)))
    subject.images = dict.fromkeys(range(3), "mine")
    subject.slow_sources = {0}
    subject.needs_predecessors = {1}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 8)
    assert subject.store.state.rows["retries"].keys() == {"0", "1", "2"}
    kept = len(subject.applied)
    subject.answers[0].set_result(None)
    await subject.until(lambda: not subject.store.state.rows["retries"])
    assert subject.applied[kept:] == [0, 1, 2]
    await subject.unit.close()


async def test_what_needs_no_source_does_not_wait_for_others(harness: Callable[..., Harness]) -> None:
    """Deletions, edits and the like pass uploads that wait until more may ask their sources."""
    rules = FoldRules(NAMES, RULES.retention, RetryPolicy(first=3600, longest=3600))
    subject = harness(list(range(20)), max_in_flight=2, max_retries=2, rules=rules)
    subject.away = subject.slow_sources = set(range(19))
    subject.unit.start()
    await subject.until(lambda: subject.store.state.progress.holds(19))
    assert len(subject.asked) <= 3
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


async def test_what_a_row_keeps_is_taken_up_again(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker, or the same one after its restart, finds the row and works on it anew."""
    monkeypatch.setattr("streams.units.window.MAX_RECORDS", 2)
    subject = harness([0, 1])
    subject.slow_sources = {0}
    subject.hold(0)
    subject.unit.start()
    await subject.until(lambda: subject.store.state.next_offset == 2)
    await subject.unit.close()
    successor = harness([], store=subject.store)
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
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch, backlog_interval: float
) -> None:
    """Records in work that rows keep count like those that wait for a retry; nothing gathers for that."""
    monkeypatch.setattr("streams.units.window.MAX_RECORDS", 4)
    subject = harness(list(range(40)), max_in_flight=1, max_retries=3, backlog_interval=backlog_interval)
    subject.slow_sources = set(range(0, 40, 2))
    for offset in subject.slow_sources:
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: len(subject.store.state.rows["retries"]) >= 3)
    await asyncio.sleep(0.1)
    assert len(subject.asked) <= 8
    for offset in subject.slow_sources:
        subject.answers[offset].set_result(None)
    await subject.until(lambda: subject.store.state.progress == Progress(40))
    await subject.until(lambda: len(subject.store.outputs) == 40)
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


async def test_events_with_many_tags_hold_back_no_others(harness: Callable[..., Harness]) -> None:
    """One of a thousand tags counts as many events: the oldest goes in any case, then those with few tags."""
    subject = harness([0, 1, 2, 3], max_transaction=2)
    subject.tags, subject.many_tags = True, {0, 1, 2}
    for offset in range(4):
        subject.hold(offset)
    subject.unit.start()
    await subject.until(lambda: len(subject.asked) == 4)
    await subject.unit.suspend()
    for answer in subject.answers.values():
        answer.set_result(None)
    await asyncio.gather(*(entry.outcome for entry in subject.unit._window._entries.values()))
    subject.unit.resume()
    await subject.until(lambda: len(subject.applied) == 4)
    assert subject.applied == [0, 3, 1, 2]
    await subject.unit.close()
