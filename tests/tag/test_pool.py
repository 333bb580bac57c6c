"""Threads that decode and infer: batches, their failures, and slow images."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import io
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from support.fakes import record

from model import BadImageError, Tag, View, decode, open_image
from schemas.results import ModelInfo
from streams.fetch.errors import SourceBusyError
from streams.fetch.fetcher import Fetched
from streams.fold.outcomes import Tagged
from streams.tag import pool as tagger_pool
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.fair_queue import Share
from streams.tag.jobs import Job, StoppedError, TaggedImage
from streams.tag.meter import InferenceMeter
from streams.tag.pool import Price, TaggerPool
from streams.telemetry.recorder import Recorder
from streams.units.order import Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from schemas.uploads import Upload

PHOTOS = sorted((Path(__file__).parents[2] / "streams" / "photos").glob("*.jpg"))
POISON, GOOD = PHOTOS[0].read_bytes(), [path.read_bytes() for path in PHOTOS[1:6]]


class FussyTagger:
    """Fails on every batch that holds the poisonous image, and on what it is told to."""

    view = View(32)
    glance = None
    tag_names = ("seen",)
    columns = slice(None)

    def __init__(self) -> None:
        self.source = self
        self.batches: list[int] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails_at: set[int] = set()
        self.poison: NDArray[np.uint8] | None = None

    @property
    def networks(self) -> tuple[FussyTagger]:
        return (self,)

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.batches.append(len(squares))
        self.entered.set()
        self.go_on.wait(10)
        if len(self.batches) in self.fails_at:
            raise RuntimeError("a hiccup")
        if self.poison is not None and any((pixels[0] == self.poison).all() for pixels in squares):
            raise RuntimeError("poisoned")
        return np.ones((len(squares), 1), np.float32)

    def tags(
        self, outputs: Sequence[NDArray[np.float32]], glances: Sequence[NDArray[np.uint8]]
    ) -> list[list[Tag]]:
        assert len(glances) == 0
        return [[Tag("seen", 1.0, 1.0)] for _ in outputs[0]]


@pytest.fixture
def fussy() -> FussyTagger:
    return FussyTagger()


@pytest.fixture(autouse=True)
def few_make_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that wait leave in one batch, so that a few images show what becomes of batches."""
    monkeypatch.setattr(tagger_pool, "_CROWDING", 99.0)


@pytest.fixture
def pool(fussy: FussyTagger) -> Iterator[TaggerPool]:
    pool = TaggerPool({"a": fussy}, threads=1, max_batch=8)
    pool.start()
    yield pool
    fussy.go_on.set()
    pool.stop()


async def test_an_image_s_memory_is_free_before_its_batch_is_inferred(
    pool: TaggerPool, fussy: FussyTagger
) -> None:
    fussy.go_on.clear()
    decoded = asyncio.Event()
    task = asyncio.create_task(pool.tag(GOOD[0], ["a"], decoded.set))
    await asyncio.wait_for(decoded.wait(), 10)
    assert not task.done()
    fussy.go_on.set()
    assert [tag.name for tag in (await task).tags["a"]] == ["seen"]


async def crowd(pool: TaggerPool, fussy: FussyTagger, images: list[bytes]) -> list[object]:
    """Have these images wait together while the only thread is busy."""
    fussy.go_on.clear()
    first = asyncio.create_task(pool.tag(GOOD[0], ["a"]))
    await asyncio.to_thread(fussy.entered.wait, 10)
    tasks = [asyncio.create_task(pool.tag(data, ["a"])) for data in images]
    await asyncio.sleep(0.05)
    fussy.go_on.set()
    await first
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def poison(fussy: FussyTagger) -> None:
    fussy.poison = decode(POISON, 32).pixels


async def test_a_crowd_leaves_in_batches(pool: TaggerPool, fussy: FussyTagger) -> None:
    """A lone image leaves at once; those that wait meanwhile leave together."""
    await crowd(pool, fussy, GOOD)
    assert fussy.batches == [1, len(GOOD)]


async def test_a_few_leave_one_by_one(
    pool: TaggerPool, fussy: FussyTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of a few waits for what comes behind it; a batch grows with the number that waits per thread."""
    monkeypatch.setattr(tagger_pool, "_CROWDING", 0.5)
    await crowd(pool, fussy, GOOD)  # two threads, of which one is for dear images: 4, 3, 2, 1 and 0 wait then
    assert fussy.batches == [1, 2, 1, 1, 1]


async def test_one_image_cannot_fail_its_batch(pool: TaggerPool, fussy: FussyTagger) -> None:
    """Where a batch fails, each of its images is tried once more alone: only the culprit fails."""
    poison(fussy)
    answers = await crowd(pool, fussy, [*GOOD[:2], POISON, *GOOD[2:]])
    assert [type(answer).__name__ for answer in answers] == [
        *["TaggedImage"] * 2,
        "RuntimeError",
        *["TaggedImage"] * 3,
    ]
    assert fussy.batches == [1, 6, *[1] * 6]


async def test_a_hiccup_costs_nothing(pool: TaggerPool, fussy: FussyTagger) -> None:
    """A batch that failed through no image's fault is tagged by the second attempts."""
    fussy.fails_at = {2}
    answers = await crowd(pool, fussy, GOOD)
    assert [type(answer).__name__ for answer in answers] == ["TaggedImage"] * len(GOOD)


async def test_a_lone_image_fails_at_once(pool: TaggerPool, fussy: FussyTagger) -> None:
    """A failed batch of one was an attempt alone already."""
    poison(fussy)
    with pytest.raises(RuntimeError, match="poisoned"):
        await pool.tag(POISON, ["a"])
    assert fussy.batches == [1]


async def test_a_bad_image_is_not_in_the_batch(pool: TaggerPool, fussy: FussyTagger) -> None:
    """An image that cannot be decoded is answered by itself; its neighbours are tagged together."""
    answers = await crowd(pool, fussy, [GOOD[0], b"no image", GOOD[1]])
    assert isinstance(answers[1], BadImageError)
    assert fussy.batches == [1, 2]


async def test_a_bad_image_keeps_no_pixels_of_its_neighbours(pool: TaggerPool, fussy: FussyTagger) -> None:
    """Whoever keeps its error keeps nothing else; nothing of the batch waits for the garbage collector."""
    gc.collect()  # what tests before have left
    gc.disable()
    try:
        answers = await crowd(pool, fussy, [GOOD[0], GOOD[1], GOOD[2], GOOD[3][:999], GOOD[4]])
        assert [type(answer) for answer in answers].count(BadImageError) == 1
        async with asyncio.timeout(10):
            while any(isinstance(thing, Job) for thing in gc.get_objects()):
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_a_slow_image_does_not_hold_up_those_behind_it(
    fussy: FussyTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one thread decodes a slow image, the other takes what waits behind it."""
    release = threading.Event()

    def slow_open(data: bytes, views: Collection[View], formats: Collection[str]) -> object:
        if data == POISON:
            release.wait(10)
        return open_image(data, views, formats)

    monkeypatch.setattr(tagger_pool, "open_image", slow_open)
    pool = TaggerPool({"a": fussy}, threads=2, max_batch=8)
    pool.start()
    slow = asyncio.create_task(pool.tag(POISON, ["a"]))
    async with asyncio.timeout(5):
        await asyncio.gather(*(pool.tag(data, ["a"]) for data in GOOD))
    assert not slow.done()
    release.set()
    assert (await slow).tags["a"]
    pool.stop()


async def test_formats_that_are_left_out(fussy: FussyTagger) -> None:
    """A pool refuses what its operator has left out, and tags the rest."""
    pool = TaggerPool({"a": fussy}, threads=1, max_batch=2, formats=frozenset({"png", "webp"}))
    pool.start()
    with pytest.raises(BadImageError, match="JPEG files are not decoded: send one of png, webp"):
        await pool.tag(GOOD[0], ["a"])
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "PNG")
    assert (await pool.tag(file.getvalue(), ["a"])).format == "png"
    pool.stop()


async def test_stop_gives_up_what_waits(fussy: FussyTagger) -> None:
    """A pool that is stopped finishes what its threads have in hand, and nothing else."""
    pool = TaggerPool({"a": fussy}, threads=1, max_batch=2)
    fussy.go_on.clear()
    pool.start()
    begun = asyncio.create_task(pool.tag(GOOD[0], ["a"]))
    await asyncio.to_thread(fussy.entered.wait, 10)
    waiting = [asyncio.create_task(pool.tag(data, ["a"])) for data in GOOD * 20]
    await asyncio.sleep(0)
    stopping = asyncio.create_task(asyncio.to_thread(pool.stop))
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, StoppedError)
    fussy.go_on.set()
    await stopping
    assert (await begun).tags["a"]
    assert fussy.batches == [1]
    with pytest.raises(StoppedError):
        await pool.tag(GOOD[0], ["a"])


async def test_stop_waits_for_no_decoder_for_long(
    fussy: FussyTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that takes for ever keeps no process from its end."""
    monkeypatch.setattr(tagger_pool, "_LONGEST_STOP", 0.1)
    pool = TaggerPool({"a": fussy}, threads=2, max_batch=2)
    fussy.go_on.clear()
    pool.start()
    begun = asyncio.create_task(pool.tag(GOOD[0], ["a"]))
    await asyncio.to_thread(fussy.entered.wait, 10)
    async with asyncio.timeout(5):
        await asyncio.to_thread(pool.stop)
    assert not begun.done()
    fussy.go_on.set()
    assert (await begun).tags["a"]


def dear_png(side: int = 4000) -> bytes:
    """Half a second of work and more in some kilobytes."""
    file = io.BytesIO()
    Image.new("RGBA", (side, side)).save(file, "PNG", compress_level=1)
    return file.getvalue()


@pytest.mark.parametrize("threads", [1, 2])
async def test_dear_images_leave_room_for_others(fussy: FussyTagger, threads: int) -> None:
    """However many images wait that cost most, a photo of somebody else is back in a moment."""
    dear, told = dear_png(), 0

    def aside() -> None:
        nonlocal told
        told += 1

    pool = TaggerPool({"a": fussy}, threads=threads, max_batch=8)
    pool.start()
    hostile = [
        asyncio.create_task(
            pool.tag(dear + bytes([number]), ["a"], share=Share("b", f"{number}.test"), aside=aside)
        )
        for number in range(12)
    ]
    while told < len(hostile):
        await asyncio.sleep(0.01)
    for photo in GOOD:
        assert (await pool.tag(photo, ["a"], share=Share("a", "c.test"))).tags["a"]
    assert sum(task.done() for task in hostile) < len(hostile) // 2
    started = time.monotonic()
    await asyncio.to_thread(pool.stop)
    assert time.monotonic() - started < 10
    outcomes = await asyncio.gather(*hostile, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TaggedImage, StoppedError}


async def test_dear_images_without_room_come_back_later(fussy: FussyTagger) -> None:
    """So many bytes of them wait, and leave memory to others' images; what is beyond is tried again."""
    dear = dear_png()
    fussy.go_on.clear()
    pool = TaggerPool({"a": fussy}, threads=1, max_batch=8, room=2 * len(dear) + 10)
    pool.start()
    tasks = [asyncio.create_task(pool.tag(dear + bytes([number]), ["a"])) for number in range(8)]
    refused = []
    while len(refused) < 5:
        await asyncio.sleep(0.01)
        refused = [task for task in tasks if task.done()]
    for task in refused:
        with pytest.raises(SourceBusyError, match="too many images wait"):
            await task
    fussy.go_on.set()
    assert all(image.tags["a"] for image in await asyncio.gather(*(set(tasks) - set(refused))))
    await asyncio.to_thread(pool.stop)


async def test_a_dear_add_on_has_the_lanes_of_dear_images(fussy: FussyTagger) -> None:
    """Its images are aside while it takes its time, and those of other add-ons go on."""
    dear, told = FussyTagger(), list[str]()
    dear.go_on.clear()
    add_ons = {"a": fussy, "dear": dear}
    pool = TaggerPool(add_ons, threads=2, max_batch=8, prices={"dear": Price(500.0, 100_000_000)})
    pool.start()
    try:
        slow = [
            asyncio.create_task(pool.tag(image, ["dear"], aside=lambda: told.append("aside")))
            for image in GOOD[:3]
        ]
        await asyncio.to_thread(dear.entered.wait, 10)
        tagged = await asyncio.wait_for(asyncio.gather(*(pool.tag(image, ["a"]) for image in GOOD)), 10)
        assert [list(image.tags) for image in tagged] == [["a"]] * len(GOOD)
        assert not any(task.done() for task in slow)
        dear.go_on.set()
        assert [list(image.tags) for image in await asyncio.gather(*slow)] == [["dear"]] * 3
        assert (told, dear.batches) == (["aside"] * 3, [1, 1, 1])
    finally:
        dear.go_on.set()
        pool.stop()


async def test_a_dear_image_holds_up_nobody_behind_it(fussy: FussyTagger) -> None:
    """Its record is taken as one that a stranger keeps waiting: its partition goes on."""
    pool = TaggerPool({"imagga_tagging": fussy}, threads=1, max_batch=8)
    left = asyncio.Event()

    class Told(Turn):
        def leave_to_source(self, upload: Upload | None) -> None:
            assert upload is not None
            left.set()

    class Source:
        async def fetch(self, _: str, _tenant: str, /) -> Fetched:
            return Fetched(dear_png(), 0.0)

    offer = Offer({"imagga_tagging": ModelInfo("m", "1")}, ("imagga_tagging",))
    event = record(value=b'{"public_id":"i","url":"http://h/1.png"}')
    pool.start()
    working = asyncio.create_task(
        Categorizer(Source(), pool, offer).outcome(event, {}, lambda: asyncio.sleep(0), Told())
    )
    async with asyncio.timeout(10):
        await left.wait()
    assert isinstance(await working, Tagged)
    await asyncio.to_thread(pool.stop)


async def test_large_images_take_turns(fussy: FussyTagger) -> None:
    """Images are decoded at the same time as far as memory allows, and no thread waits for that."""
    file = io.BytesIO()
    Image.new("L", (5000, 5000)).save(file, "BMP")  # cheap, and a hundred megabytes
    pool = TaggerPool({"a": fussy}, threads=4, max_batch=8, room=1 << 30)
    pool.start()
    large = [asyncio.create_task(pool.tag(file.getvalue() + bytes([n]), ["a"])) for n in range(8)]
    assert (await pool.tag(GOOD[0], ["a"])).tags["a"]
    assert all(image.tags["a"] for image in await asyncio.gather(*large))
    assert pool.waiting == 0
    await asyncio.to_thread(pool.stop)


async def test_a_copy_is_not_inferred_again(fussy: FussyTagger) -> None:
    """The same bytes get the same tags without the model, for as long as they are remembered."""
    pool = TaggerPool({"a": fussy, "b": fussy}, threads=1, max_batch=8, known_images=2)
    pool.start()
    first = await pool.tag(GOOD[0], ["a"])
    assert await pool.tag(GOOD[0], ["a"]) == dataclasses.replace(
        first, decode_ms=0.0, inference_ms=0.0, stages={}
    )
    assert len(fussy.batches) == 1
    assert set((await pool.tag(GOOD[0], ["a", "b"])).tags) == {"a", "b"}  # asked for more: inferred anew
    for data in GOOD[1:3]:
        await pool.tag(data, ["a"])
    assert len(fussy.batches) == 4
    assert (await pool.tag(GOOD[0], ["a"])).digest == first.digest
    assert len(fussy.batches) == 5, "two others came since, and there is room for two"
    pool.stop()


async def test_batches_and_what_each_add_on_cost_are_told(fussy: FussyTagger) -> None:
    """Two add-ons of one network each tell its run; who is busy and who waits can be read meanwhile."""
    recorder = Recorder({"add_on": ["a", "b"]})
    add_ons = {"a": fussy, "b": fussy}
    pool = TaggerPool(add_ons, threads=1, max_batch=8, meter=InferenceMeter(recorder))
    fussy.go_on.clear()
    pool.start()
    first = asyncio.create_task(pool.tag(GOOD[0], ["a", "b"]))
    await asyncio.to_thread(fussy.entered.wait, 10)
    others = [asyncio.create_task(pool.tag(photo, ["a"])) for photo in GOOD[1:4]]
    await asyncio.sleep(0)
    assert (pool.threads, pool.busy, pool.waiting) == (2, 1, 3)
    fussy.go_on.set()
    await asyncio.gather(first, *others)
    await asyncio.to_thread(pool.stop)
    batches = recorder.histogram("tagstream_batch_images").of()
    seconds = recorder.histogram("tagstream_model_seconds")
    assert batches.total == 4
    assert 2 <= sum(batches.counts) <= 4  # a machine that is busy decodes too slowly to gather all
    assert [sum(seconds.of(name).counts) for name in ("a", "b")] == [4, 1]
    assert seconds.of("a").total >= seconds.of("b").total > 0
    assert (pool.busy, pool.waiting) == (0, 0)
