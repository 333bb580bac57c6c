"""How long a result takes: at low load beside the bare work, and at 80 % load.

    python -m benchmarks.latency [--uploads 150] [--set mixed] [--busy-seconds 30] [--model FOLDER]
        [--parts classifier]

At low load one event is published every 200 ms; its time runs from before it is handed to the producer until
a `read_committed` consumer has its result. Halfway between two events a process without Kafka or threads
fetches, decodes and infers the same photo (another number, so other bytes): the bare sum. `latency_ratio` is
the ratio of the medians. `latency_over_floor` adds below the line what Kafka takes where nothing is computed
(`benchmarks.kafka_floor`). At 80 % load events come at that share of the rate that a burst just before it
reached with the same reader, in even intervals.

All of it shares the machine's cores, this program and its consumer included.
"""

import argparse
import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Self

import aiohttp
import msgspec
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.bare import AnyTagger, decoded, load, tagged
from benchmarks.kafka_floor import floor_ms
from benchmarks.measured import DEADLINE
from benchmarks.pairs import steady_rate
from benchmarks.photo_sets import SETS, load_sets
from benchmarks.processes import Program
from benchmarks.program import parser_of
from benchmarks.stream import uploads
from benchmarks.testbed import Testbed, open_testbed
from benchmarks.workers import Workers
from streams.tag.add_ons import DEFAULT_PARTS

EVERY = 0.2  # seconds
_LOAD = 0.8
_WARM_UP = 10  # uploads whose times do not count
_STAGES = ("fetch", "decode", "inference")


class Arrivals:
    """When results came, by the public id of their image. Use as an async context manager.

    Attributes:
        times: When they came.
        inside: How long their images were in work, from intake to tags, in milliseconds.
    """

    def __init__(self, place: Testbed, workers: Workers) -> None:
        self.times: dict[str, float] = {}
        self.inside: dict[str, float] = {}
        names, partitions = workers.cluster.names, range(workers.cluster.partitions)
        topics = (names.categorizations, names.dead_letters)
        self._places = [TopicPartition(topic, partition) for topic in topics for partition in partitions]
        self._dead_letters = names.dead_letters
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=place.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._places)
        await self._consumer.seek_to_end()
        for place in self._places:
            await self._consumer.position(place)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading:
            self._reading.cancel()
        await self._consumer.stop()

    async def until(self, count: int) -> None:
        """Wait for so many."""
        async with asyncio.timeout(DEADLINE):
            while len(self.times) < count:
                if self._reading and self._reading.done():
                    self._reading.result()
                await asyncio.sleep(0.01)

    async def _read(self) -> None:
        async for message in self._consumer:
            now = time.perf_counter()
            if message.topic == self._dead_letters:
                raise RuntimeError(f"a dead letter: {dict(message.headers)}")
            result = orjson.loads(message.value)
            self.times[result["public_id"]] = now
            self.inside[result["public_id"]] = result["timings_ms"]["total"]


class Client:
    """Publishes events one by one and learns how long their results take."""

    def __init__(self, place: Testbed, workers: Workers, producer: AIOKafkaProducer) -> None:
        self._place = place
        self._workers = workers
        self._producer = producer
        self._sent: dict[str, float] = {}

    async def publish(self, photos: str, number: int) -> None:
        """Publish an event."""
        (event,) = uploads(self._place.server, photos, number, 1)
        name = event.public_id or ""
        self._sent[name] = time.perf_counter()
        await self._producer.send(self._workers.topics.uploads, msgspec.json.encode(event), name.encode())

    async def latencies(self, arrivals: Arrivals) -> list[float]:
        """Wait for all results; return their times in milliseconds, in the order of the events."""
        await arrivals.until(len(self._sent))
        found = [(arrivals.times[name] - sent) * 1000 for name, sent in self._sent.items()]
        self._sent.clear()
        return found


async def at_low_load(
    client: Client, arrivals: Arrivals, bare: Program, photos: str, numbers: range
) -> dict[str, Any]:
    """Publish now and then, with the bare work in between."""
    sums = []
    for number in numbers:
        started = time.perf_counter()
        await client.publish(photos, number)
        await asyncio.sleep(EVERY / 2)
        sums.append(await bare.ask({"photos": photos, "number": number + len(numbers)}))
        await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - started)))
    results = (await client.latencies(arrivals))[_WARM_UP:]
    totals = [sum(each.values()) for each in sums[_WARM_UP:]]
    return {
        "latency_ratio": median(results) / median(totals),
        "result_ms": spread(results),
        "bare_sum_ms": spread(totals),
        "intake_to_tags_ms": spread(list(arrivals.inside.values())[_WARM_UP:]),
        **{f"bare_{stage}_p50_ms": median(each[stage] for each in sums[_WARM_UP:]) for stage in _STAGES},
    }


async def full_rate(client: Client, arrivals: Arrivals, photos: str, numbers: range) -> float:
    """Publish all at once; return the results per second, with the same reader as at load."""
    for number in numbers:
        await client.publish(photos, number)
    await client.latencies(arrivals)
    return steady_rate(list(arrivals.times.values()))


async def at_load(
    client: Client, arrivals: Arrivals, rate: float, photos: str, numbers: range
) -> dict[str, Any]:
    """Publish at a rate."""
    started = time.perf_counter()
    for index, number in enumerate(numbers):
        await asyncio.sleep(max(0.0, started + index / rate - time.perf_counter()))
        await client.publish(photos, number)
    results = spread(await client.latencies(arrivals))
    inside = spread(list(arrivals.inside.values()))
    return {"uploads_per_second": rate, "result_ms": results, "intake_to_tags_ms": inside}


def spread(values: list[float]) -> dict[str, float]:
    """The percentiles that matter."""
    cuts = quantiles(values, n=100)
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98]}


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure both; return the figures."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(open_testbed())
        model = ["--model", str(options.model)] if options.model else []
        parts = ["--parts", options.parts]
        bare = Program("benchmarks.latency", "--orders", "--server", place.server, *model, *parts)
        stack.push_async_callback(bare.stop)
        await bare.start()
        environment = {"TAGSTREAM_PARTS": options.parts}
        workers = Workers("pipeline", place, model=options.model, environment=environment)
        await stack.enter_async_context(workers)
        producer = AIOKafkaProducer(bootstrap_servers=place.bootstrap)
        await producer.start()
        stack.push_async_callback(producer.stop)
        client = Client(place, workers, producer)
        async with Arrivals(place, workers) as arrivals:
            count = _whole_sets(options.uploads + _WARM_UP, options.set)
            numbers = workers.numbers(2 * count)
            low = await at_low_load(client, arrivals, bare, options.set, numbers[:count])
        floor = await floor_ms(place.bootstrap)
        least = low["bare_sum_ms"]["p50"] + median(floor)
        low |= {"kafka_floor_ms": spread(floor), "latency_over_floor": low["result_ms"]["p50"] / least}
        async with Arrivals(place, workers) as arrivals:
            rate = _LOAD * await full_rate(client, arrivals, options.set, workers.numbers(options.saturating))
        async with Arrivals(place, workers) as arrivals:
            numbers = workers.numbers(int(rate * options.busy_seconds))
            busy = await at_load(client, arrivals, rate, options.set, numbers)
    return low | {"at_80_percent_load": busy, "set": options.set}


def _whole_sets(count: int, photos: str) -> int:
    """Round up, so that so many numbers on the same photos come again."""
    size = len(load_sets()[photos])
    return -(-count // size) * size


async def work_barely(tagger: AnyTagger, server: str, orders: asyncio.StreamReader) -> None:
    """Answer each line with the milliseconds that its photo takes."""
    async with aiohttp.ClientSession() as session:
        while line := await orders.readline():
            order = orjson.loads(line)
            began = time.perf_counter()
            async with session.get(f"{server}/{order['photos']}/{order['number']}") as answer:
                data = await answer.read()
            fetched = time.perf_counter()
            squares = decoded(tagger, data)
            seen = time.perf_counter()
            tagged(tagger, [squares])
            times = (fetched - began, seen - fetched, time.perf_counter() - seen)
            milliseconds = (seconds * 1000 for seconds in times)
            print(json.dumps(dict(zip(_STAGES, milliseconds, strict=True))), flush=True)


async def take_orders(options: argparse.Namespace) -> None:
    """Be the bare program."""
    tagger = load(options.model, options.parts)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    print("{}", flush=True)
    await work_barely(tagger, options.server, orders)


def show(report: dict[str, Any]) -> None:
    """Print a table."""

    def line(name: str, figures: dict[str, float]) -> None:
        shown = "   ".join(f"{part} {value:6.1f}" for part, value in figures.items())
        print(f"{name:36} {shown} ms")

    print(f"set {report['set']}: result / bare sum = {report['latency_ratio']:.2f}, medians")
    line("publish to result, one per 200 ms", report["result_ms"])
    line("  of it intake to tags", report["intake_to_tags_ms"])
    line("fetch + decode + inference, bare", report["bare_sum_ms"])
    line("  its stages", {stage: report[f"bare_{stage}_p50_ms"] for stage in _STAGES})
    line("event and transaction, bare", report["kafka_floor_ms"])
    print(f"result / (bare sum + bare Kafka) = {report['latency_over_floor']:.2f}, medians")
    busy, alone = report["at_80_percent_load"], report["result_ms"]
    line(f"publish to result, {busy['uploads_per_second']:.0f} per second", busy["result_ms"])
    line("  of it intake to tags", busy["intake_to_tags_ms"])
    over = (f"{part} {value / alone['p50']:.2f}" for part, value in busy["result_ms"].items())
    print(f"  over the median of one per 200 ms: {'   '.join(over)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be chosen."""
    parser.add_argument("--uploads", type=int, default=150, help="at low load")
    parser.add_argument("--set", choices=SETS, default="mixed")
    parser.add_argument("--busy-seconds", type=float, default=30, help="at 80 %% load")
    parser.add_argument("--saturating", type=int, default=1000, help="images that find out the full load")
    parser.add_argument("--model", type=Path, help="a model folder; the default model otherwise")
    parser.add_argument("--parts", default=DEFAULT_PARTS, help="of the default add-on")


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    parser = parser_of(__doc__)
    add_arguments(parser)
    parser.add_argument("--orders", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--server", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.orders:
        uvloop.run(take_orders(options))
        return
    report = uvloop.run(measure(options))
    show(report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
