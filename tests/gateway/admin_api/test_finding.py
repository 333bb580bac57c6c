import asyncio
import logging
import threading
import time
from collections.abc import Sequence

import pytest
from support.gateway.rows import asset_row, library_of

from streams.gateway.admin_api.finding import AT_ONCE, WAITING, Finder
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import TooOftenError
from streams.gateway.search.queries import read_search

log = logging.getLogger(__name__)

MANY = 100_000
EXPRESSIONS = ("tags=t7", "tags:t7 AND bytes>1k", "format:jpg AND NOT tags=t1", "ko*la", "")


@pytest.mark.slow
async def test_the_event_loop_goes_on_while_many_assets_are_searched() -> None:
    """A search of a hundred thousand assets is a thread's work: other calls have their turn meanwhile."""
    rows = {
        f"fo/koala {number}": asset_row(
            f"fo/koala {number}",
            tags=[f"t{number % 50}", f"u{number % 7}", "koala"],
            scores={"imagga_tagging": [(f"tag{each}", 0.5) for each in range(30)]},
            bytes=number,
        )
        for number in range(MANY)
    }
    finder = Finder(library_of(rows))
    gaps, done = [0.0], asyncio.Event()

    async def tick() -> None:
        while not done.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before - 0.001)

    ticking = asyncio.create_task(tick())
    for expression in EXPRESSIONS:
        begun = time.perf_counter()
        search = read_search(Fields.of_pairs([("expression", expression)]), 1)
        page = await finder.find("demo", search.query)
        took = time.perf_counter() - begun
        log.info("%r: %.2f s, %d found", expression, took, page.total)
        assert page.total > 0
        assert took < 20
    done.set()
    await ticking
    gaps.sort()
    usual = gaps[len(gaps) * 99 // 100]
    log.info("the longest gap was %.0f ms; 99 in 100 were below %.1f ms", gaps[-1] * 1000, usual * 1000)
    assert usual < 0.5


async def test_one_cloud_leaves_room_for_others() -> None:
    """However many searches it has under way, and however long they take, another cloud has its turn."""
    finder, going, ended = Finder(library_of({})), threading.Semaphore(0), threading.Event()

    def endless(_keys: Sequence[str], _rows: Sequence[bytes]) -> None:
        going.release()
        assert ended.wait(20)

    tasks = [asyncio.create_task(finder.look("demo", endless)) for _ in range(AT_ONCE)]
    try:
        assert await asyncio.to_thread(going.acquire, timeout=10)
        async with asyncio.timeout(5):
            assert await finder.look("other", lambda keys, _: len(keys)) == 0
    finally:
        ended.set()
        await asyncio.gather(*tasks)


async def test_too_many_searches() -> None:
    """So many wait for their turn; one more is told to come again."""
    finder = Finder(library_of({}))

    finder._places = asyncio.Semaphore(0)
    half = WAITING // 2
    tasks = [asyncio.create_task(finder.look("demo", lambda keys, _: len(keys))) for _ in range(half)]
    await asyncio.sleep(0)
    with pytest.raises(TooOftenError, match="try again"):
        await finder.look("demo", lambda keys, _: len(keys))
    tasks += [asyncio.create_task(finder.look("other", lambda keys, _: len(keys))) for _ in range(half)]
    await asyncio.sleep(0)
    with pytest.raises(TooOftenError, match="try again"):
        await finder.look("third", lambda keys, _: len(keys))
    for _ in range(AT_ONCE):
        finder._places.release()
    assert await asyncio.gather(*tasks) == [0] * WAITING
