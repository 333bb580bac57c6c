"""How long questions about images and users take, and what their indexes cost, a million images deep.

    python benchmarks/library.py [--images 1000000] [--rounds 200] [--row-by-row] [--memory]

Synthetic images: 8 different tags each by Zipf's law (s = 1) out of 10,000, confidences even from 0.3 to 1;
one of 100,000 users by Zipf's law (s = 0.5); times spread evenly over 30 days and in no order; 4 partitions.
All users draw from the same tags, so that everybody resembles everybody: the hardest case for `similar` and
`feed`. Rows are made before; then the indexes are loaded as a worker loads them. Each question goes through
its route: parameters are read, the answer is made and encoded; HTTP itself is left out. `cpu` is processor
time: on a busy machine it says more than the clock.
"""

import argparse
import asyncio
import time
import tracemalloc
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import orjson

from schemas.answers.trends import PartitionState as Freshness
from streams.fold.rows import DAY_MS, InterestKey
from streams.state import loading
from streams.state.images.compaction import Compaction
from streams.state.images.index import ImageIndex
from streams.state.partition import PartitionState
from streams.state.users.index import UserIndex
from streams.state.users.similar import AllNeighbours
from streams.web.api.images import ImageRoutes
from streams.web.api.routes import Route
from streams.web.api.users import UserRoutes

TODAY = 20_781
NOW = TODAY * 86_400.0
TAGS, USERS, PARTITIONS, PER_IMAGE, DAYS = 10_000, 100_000, 4, 8, 30
RULES = "a0ea1af23aab"
CHUNK = 10_000
RETAGGED = 20_000
Texts = dict[str, list[str]]


class Fresh:
    """A state without gaps."""

    complete = True
    behind: list[int] = []  # noqa: RUF012 - nobody changes it

    def as_of(self) -> list[Freshness]:
        """How far the partitions are."""
        return [Freshness(number, ready=True, next_offset=1, lag=0) for number in range(PARTITIONS)]


class Synthetic:
    """Images by the laws above, the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._tag_bounds = np.cumsum(1 / np.arange(1, TAGS + 1))
        self._user_bounds = np.cumsum(1 / np.sqrt(np.arange(1, USERS + 1)))
        self._interests: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        self._owners: list[str] = []

    def tag(self) -> str:
        """Draw a tag."""
        return f"tag-{self._zipf(self._tag_bounds, 1)[0]:05}"

    def user(self) -> str:
        """Draw a user: that of any image."""
        return self._owners[self._random.integers(len(self._owners))]

    def fill(self, states: list[PartitionState], images: int) -> None:
        """Put the rows that so many images leave into the states."""
        for start in range(0, images, CHUNK):
            size = min(CHUNK, images - start)
            drawn = self._zipf(self._tag_bounds, (size, 3 * PER_IMAGE)).tolist()
            users = [f"user-{user:06}" for user in self._zipf(self._user_bounds, size).tolist()]
            self._owners += users
            times = (TODAY * DAY_MS - self._random.integers(0, DAYS * DAY_MS, size)).tolist()
            confidences = np.round(self._random.uniform(0.3, 1, (size, PER_IMAGE)), 4).tolist()
            for n in range(size):
                tags = [f"tag-{tag:05}" for tag in list(dict.fromkeys(drawn[n]))[:PER_IMAGE]]
                state = states[(start + n) % PARTITIONS]
                row = image_row(start + n, times[n], users[n], tags, confidences[n])
                state.apply("images", f"image-{start + n:08}", row)
                self._note(state.partition, users[n], times[n] // DAY_MS, tags)
        for (partition, key), counts in self._interests.items():
            states[partition].apply("interests", key, exact({"o": 1, "t": counts}))
        self._interests.clear()

    def _note(self, partition: int, user: str, day: int, tags: list[str]) -> None:
        counts = self._interests[partition, InterestKey("", user, day).encode()]
        for tag in tags:
            counts[tag] = counts.get(tag, 0) + 1

    def _zipf(self, bounds: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
        return np.searchsorted(bounds, self._random.random(size) * bounds[-1])


def exact(row: dict[str, object]) -> bytes:
    """A row as JSON, in a buffer of its own size."""
    return bytes(memoryview(orjson.dumps(row)))


def image_row(number: int, at: int, user: str, tags: list[str], confidences: list[float]) -> bytes:
    """A row as the fold writes it."""
    cause = ["kafka:image.uploads", f"image.uploads/{number % PARTITIONS}/{number}", "image.uploaded"]
    change = {"at": at, "cause": cause, "rules": RULES, "models": {"imagga_tagging": ["lite2", "1"]}}
    change |= {"added": tags, "removed": []}
    return exact(
        {
            "o": number,
            "at": at,
            "version": None,
            "user": user,
            "tenant": "",
            "ids": [f"{number:016x}"],
            "cause": cause,
            "tags": tags,
            "by": [["imagga_tagging"]] * len(tags),
            "own": [],
            "url": f"https://example.com/{number}.jpg",
            "scores": {"imagga_tagging": list(zip(tags, confidences, strict=False))},
            "model": ["lite2", "1"],
            "rules": RULES,
            "history": [change],
        }
    )


def questions(synthetic: Synthetic) -> dict[str, tuple[str, Callable[[], Texts]]]:
    """Path and drawn parameters of each kind of question."""
    hot, warm, cold = "tag-00000", "tag-00100", "tag-05000"
    tag, user = synthetic.tag, synthetic.user
    return {
        "images, hot tag": ("/images", lambda: {"tag": [hot]}),
        "images, hot tag, surest first": ("/images", lambda: {"tag": [hot], "order": ["confidence"]}),
        "images, hot tag, one day": ("/images", lambda: {"tag": [hot], "since": ["2026-11-22"]}),
        "images, warm tag": ("/images", lambda: {"tag": [warm]}),
        "images, cold tag": ("/images", lambda: {"tag": [cold]}),
        "images, drawn tag": ("/images", lambda: {"tag": [tag()]}),
        "images, all of two": ("/images", lambda: {"all": [f"{tag()},{tag()}"]}),
        "images, all of two hot": ("/images", lambda: {"all": ["tag-00000,tag-00001"]}),
        "images, any of three": ("/images", lambda: {"any": [f"{tag()},{tag()},{tag()}"]}),
        "images, one but not another": ("/images", lambda: {"tag": [tag()], "none": [tag()]}),
        "images, all without a hot tag": ("/images", lambda: {"none": [hot]}),
        "images of a user": ("/images", lambda: {"user": [user()]}),
        "one image": ("/images/{public_id}", lambda: {"public_id": ["image-00000777"]}),
        "related, hot tag": ("/trends/tags/{tag}/related", lambda: {"tag": [hot]}),
        "related, drawn tag": ("/trends/tags/{tag}/related", lambda: {"tag": [tag()]}),
        "interests": ("/users/{user_id}/interests", lambda: {"user_id": [user()]}),
        "interests, busiest user": ("/users/{user_id}/interests", lambda: {"user_id": ["user-000000"]}),
        "similar": ("/users/{user_id}/similar", lambda: {"user_id": [user()]}),
        "similar, busiest user": ("/users/{user_id}/similar", lambda: {"user_id": ["user-000000"]}),
        "feed": ("/users/{user_id}/feed", lambda: {"user_id": [user()]}),
    }


async def ask(route: Route, given: Texts) -> None:
    """Ask once, as the server does."""
    msgspec.json.encode(await route.handler(route.read(given)))


async def measure(route: Route, drawn: Callable[[], Texts], rounds: int) -> tuple[float, ...]:
    """Measure p50 and p99 by the clock, then of processor time, in milliseconds."""
    await ask(route, drawn())
    taken, used = [], []
    for _ in range(rounds):
        given = drawn()
        start, cpu = time.perf_counter(), time.process_time()
        await ask(route, given)
        taken.append((time.perf_counter() - start) * 1000)
        used.append((time.process_time() - cpu) * 1000)
    return *percentiles(taken), *percentiles(used)


def percentiles(values: list[float]) -> tuple[float, float]:
    """The p50 and p99."""
    values = sorted(values)
    return values[len(values) // 2], values[len(values) * 99 // 100]


def resident() -> float:
    """This process's memory in MB."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096 / 1e6


def feed(states: list[PartitionState], index: ImageIndex | UserIndex, name: str) -> None:
    """Feed an index with all rows of its table, one by one; print what that takes."""
    start, cpu, rows = time.perf_counter(), time.process_time(), 0
    for state in states:
        for key, row in state.rows[index.table].items():
            index.changed(state.partition, index.table, key, None, row)
        rows += len(state.rows[index.table])
    tell(f"{name}, row by row", rows, start, cpu)


async def load(states: list[PartitionState], index: ImageIndex | UserIndex, name: str) -> None:
    """Load an index with all rows of its table, as a worker does; print what that takes."""
    start, cpu = time.perf_counter(), time.process_time()
    for state in states:
        rows = state.rows[index.table]
        await loading.load(index, state.partition, list(rows), list(rows.values()))
    tell(name, sum(len(state.rows[index.table]) for state in states), start, cpu)


def tell(name: str, rows: int, start: float, cpu: float) -> None:
    """Print what rows have taken since."""
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    each, each_cpu = seconds / rows * 1e6, cpu / rows * 1e6
    print(f"{name}: {rows:,} rows in {seconds:.1f} s; {each:.1f} µs each, {each_cpu:.1f} cpu")


async def weigh(states: list[PartitionState], index: ImageIndex | UserIndex, name: str) -> None:
    """Feed an index while memory is traced; print what it holds besides the rows."""
    tracemalloc.start()
    await load(states, index, f"{name}, traced")
    print(f"{name}: {tracemalloc.get_traced_memory()[0] / 1e6:.0f} MB besides the rows")
    tracemalloc.stop()


def retag(states: list[PartitionState], index: ImageIndex) -> None:
    """Change images one by one; print what each costs the event loop."""
    taken, used = [], []
    for number in range(RETAGGED):
        state, key = states[number % PARTITIONS], f"image-{number:08}"
        row = orjson.loads(state.rows["images"][key])
        changed = orjson.dumps(row | {"at": row["at"] + 1, "tags": row["tags"][::-1]})
        start, cpu = time.perf_counter(), time.process_time()
        index.changed(state.partition, "images", key, None, changed)
        taken.append((time.perf_counter() - start) * 1e6)
        used.append((time.process_time() - cpu) * 1e6)
    (p50, p99), (cpu50, cpu99) = percentiles(taken), percentiles(used)
    print(f"an image changes, µs: p50 {p50:.0f}, p99 {p99:.0f}; cpu p50 {cpu50:.0f}, p99 {cpu99:.0f}")


async def make(neighbours: AllNeighbours) -> None:
    """Make everybody's profiles for `similar`; print what that takes, and how long it held the event loop."""
    lags: list[float] = []
    watching = asyncio.create_task(watch(lags))
    start, cpu = time.perf_counter(), time.process_time()
    await neighbours.refresh()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    watching.cancel()
    p50, p99 = percentiles(lags)
    lag = f"the event loop late by p50 {p50:.1f}, p99 {p99:.1f}, at most {max(lags):.1f} ms"
    print(f"profiles of {USERS:,} users: {seconds:.1f} s, {cpu:.1f} s cpu; {lag}")


async def watch(lags: list[float]) -> None:
    """Note, in milliseconds, how late the event loop is for a task that wants a turn every 2 ms."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.002)
        lags.append((time.perf_counter() - start - 0.002) * 1000)


def compact(index: ImageIndex) -> None:
    """Compact; print what that takes in the thread and in the event loop."""
    start = time.perf_counter()
    compaction = Compaction(index.libraries[""])
    made = time.perf_counter()
    compaction.run()
    ran = time.perf_counter()
    deque(compaction.finish(), maxlen=0)
    loop = (made - start + time.perf_counter() - ran) * 1000
    print(f"compaction: {ran - made:.1f} s in its thread, {loop:.1f} ms in the event loop")


async def main() -> None:
    """Build, ask, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--row-by-row", action="store_true", help="feed the indexes by single rows as well")
    parser.add_argument("--memory", action="store_true", help="weigh the indexes too: takes minutes")
    options = parser.parse_args()
    synthetic = Synthetic()
    states = [PartitionState(number) for number in range(PARTITIONS)]
    synthetic.fill(states, options.images)
    print(f"{options.images:,} images; the rows take {resident():.0f} MB")
    images, users = ImageIndex(), UserIndex()
    await load(states, images, "image index")
    await load(states, users, "user index")
    if options.row_by_row:
        feed(states, ImageIndex(), "image index")
        feed(states, UserIndex(), "user index")
    if options.memory:
        await weigh(states, ImageIndex(), "image index")
        await weigh(states, UserIndex(), "user index")
    retag(states, images)
    by_number = dict(enumerate(states))
    neighbours = AllNeighbours(users, lambda: NOW)
    await make(neighbours)
    routes = [
        *ImageRoutes(images, by_number, Fresh()).routes(),
        *UserRoutes(neighbours, images, by_number, Fresh(), lambda: NOW).routes(),
    ]
    by_path = {route.path: route for route in routes}
    print(f"{resident():.0f} MB in all")
    print(f"{'question':32} {'p50 ms':>8} {'p99 ms':>8} {'cpu p50':>8} {'cpu p99':>8}")
    for name, (path, drawn) in questions(synthetic).items():
        print(f"{name:32}", *(f"{each:8.2f}" for each in await measure(by_path[path], drawn, options.rounds)))
    compact(images)


if __name__ == "__main__":
    asyncio.run(main())
