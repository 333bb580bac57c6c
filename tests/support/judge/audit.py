"""An independent client's view of what workers did, against what the oracle says must have come of it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from support.cluster import Cluster
from support.judge.audit_answers import compare_answers
from support.judge.audit_streams import compare_streams, compare_trends
from support.judge.audit_tables import Findings, compare_tables, differing, read_tables
from support.judge.oracle import SLOW, Partition, result_identity
from support.judge.oracle_events import Photo, Source
from support.judge.oracle_images import MODEL

from schemas.dead_letters import read_fault
from schemas.results import CATEGORIZED, TAGS_CHANGED

SHOWN = 10  # differences of one kind
_OURS = ("__connect.errors.", "kafka_dlt-original-", "tagstream.")  # headers that a worker adds


class Outcome(NamedTuple):
    """Something that came out, or must: who caused it, what it says, and where the order matters of what."""

    cause: tuple[Any, ...]
    content: dict[str, Any]
    place: str
    image: tuple[Any, ...] = ()


class Verdict(Findings):
    """What the audit found.

    Attributes:
        lost: Outcomes that must be there and are not.
        duplicates: Outcomes that are there and must not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost = self.duplicates = 0

    @property
    def exact(self) -> bool:
        """Whether everything is as it must be."""
        return not self.lost and not self.duplicates and not any(self.differences.values())

    def lines(self) -> Iterable[str]:
        """The report, the first few differences of each kind."""
        yield "compared " + ", ".join(f"{number} {kind}" for kind, number in self.checked.items())
        for kind, found in self.differences.items():
            if found:
                yield f"{kind}: {len(found)} differences"
                yield from (f"  {line}" for line in found[:SHOWN])


async def audit(
    cluster: Cluster, look: Callable[[str], Photo], workers: Iterable[int], *, swept: bool
) -> Verdict:
    """Compare everything that a client can read with the oracle's view of the upload topic.

    Args:
        cluster: Whose topics; its workers have folded everything in.
        look: Gives the tags behind a URL.
        workers: Who must answer questions.
        swept: Whether rows of expired buckets must be gone.
    """
    await until_settled(cluster)
    verdict = Verdict()
    partitions: dict[int, Partition] = {}
    fold = UpdateFold()
    places: dict[str, int] = {}
    for number in range(cluster.partitions):  # one by one: all do not fit in memory
        partitions[number] = partition = await expectation(cluster, look, number)
        await _compare_outcomes(cluster, number, partition, verdict)
        await fold.read(cluster, number, partition)
        partition.note_ways()
        for outcomes in (partition.results, partition.updates, partition.letters):
            outcomes.clear()
        rows = await read_tables(cluster, number)
        compare_tables(number, partition, rows, verdict, swept=swept)
        await compare_streams(cluster, number, rows, verdict)
        for key in rows["images"]:
            verdict.check("images in one partition", repr(key), number, places.setdefault(key, number))
    if "trends" in cluster.environment.get("TAGSTREAM_ROLES", ""):
        await compare_trends(cluster, verdict)
    fold.compare(verdict)
    _compare_forwarded(partitions.values(), verdict)
    for worker in workers:
        await compare_answers(cluster, worker, partitions, verdict)
    return verdict


async def until_settled(cluster: Cluster, seconds: float = 30) -> None:
    """Wait until no transaction is open on any topic: then read_committed hides nothing."""
    topics = list(cluster.names.configs)
    places = [TopicPartition(topic, number) for topic in topics for number in range(cluster.partitions)]
    async with asyncio.timeout(seconds):
        while await _ends(cluster, places, "read_committed") != await _ends(
            cluster, places, "read_uncommitted"
        ):
            await asyncio.sleep(0.2)


async def _ends(cluster: Cluster, places: list[TopicPartition], isolation: str) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, isolation_level=isolation)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await consumer.stop()


async def expectation(cluster: Cluster, look: Callable[[str], Photo], number: int) -> Partition:
    """Feed the oracle with one partition of the upload topic."""
    partition = Partition(look, number=number, partitions=cluster.partitions)
    async for record in cluster.records(cluster.names.uploads, [number]):
        where = (record.topic, record.partition, record.offset, record.timestamp)
        partition.apply(Source(*where, record.key, record.value, tuple(record.headers)))
    place = TopicPartition(cluster.names.uploads, number)
    partition.next = (await _ends(cluster, [place], "read_committed"))[
        place
    ]  # markers of transactions included
    return partition


def _compare_forwarded(partitions: Iterable[Partition], verdict: Verdict) -> None:
    """Each record that belongs elsewhere came to where it belongs, and once."""
    sent, came = Counter[str](), Counter[str]()
    for partition in partitions:
        sent.update(partition.sent_on)
        came.update(partition.came)
    verdict.checked["forwarded"] += came.total()
    verdict.lost += (sent - came).total()
    verdict.duplicates += (came - sent).total()
    lines = verdict.differences["forwarded"]
    lines += [f"lost: {place}" for place in sent - came]
    lines += [f"too much: {place}" for place in came - sent]


async def _compare_outcomes(cluster: Cluster, number: int, partition: Partition, verdict: Verdict) -> None:
    names = cluster.names
    for kind, topic, expect, found in (
        ("results", names.categorizations, _expected_results, _found_result),
        ("tag-updates", names.tag_updates, _expected_updates, _found_update),
        ("dead letters", names.dead_letters, _expected_letters, _found_letter),
    ):
        came = [found(record) async for record in cluster.records(topic, [number])]
        must = expect(partition)
        if kind == "tag-updates":
            must, came = _settled_alone(must, came, verdict)
        _compare_sequence(f"{kind} of partition {number}", must, came, verdict)
        verdict.checked[kind] += len(came)


def _settled_alone(
    expected: list[Outcome], found: list[Outcome], verdict: Verdict
) -> tuple[list[Outcome], list[Outcome]]:
    """The tag-updates of images that are not slow; those of slow ones hang on what came first."""
    slow = Counter(outcome.cause for outcome in found if _is_slow(outcome.content["public_id"]))
    twice = [cause for cause, number in slow.items() if number > 1]
    verdict.duplicates += len(twice)
    verdict.differences["tag-updates of slow images"] += [f"too much: {cause}" for cause in twice]
    fast = ([each for each in some if not _is_slow(each.content["public_id"])] for some in (expected, found))
    return next(fast), next(fast)


def _is_slow(public_id: object) -> bool:
    return str(public_id).startswith(SLOW)


def _compare_sequence(kind: str, expected: list[Outcome], found: list[Outcome], verdict: Verdict) -> None:
    """Compare outcomes one by one, those of an image in order; count what is missing and what is too much."""
    wanted = Counter(outcome.cause for outcome in expected)
    came = Counter(outcome.cause for outcome in found)
    verdict.lost += (wanted - came).total()
    verdict.duplicates += (came - wanted).total()
    lost, doubled = wanted - came, came - wanted
    lines = verdict.differences[kind]
    lines += [f"lost: {each.cause} of {each.place}" for each in expected if each.cause in lost]
    lines += [f"too much: {each.cause} at {each.place}" for each in found if each.cause in doubled]
    if lines:
        return  # what follows would only repeat it
    images = {outcome.cause: outcome.image for outcome in expected}
    for must, is_ in zip(_by_image(expected, images), _by_image(found, images), strict=True):
        if must.cause != is_.cause:
            lines.append(f"order: {is_.cause} at {is_.place} where {must.cause} of {must.place} must be")
        elif must.content != is_.content:
            fields = differing(must.content, is_.content)
            lines.append(f"{must.place}, read at {is_.place}: {fields}")


def _by_image(outcomes: list[Outcome], images: dict[tuple[Any, ...], tuple[Any, ...]]) -> list[Outcome]:
    """Put outcomes of an image together, in the order in which they are: that of its uploads in the log.

    Images overtake each other, and of a slow one the later event may be first.
    """

    def place(outcome: Outcome) -> tuple[Any, ...]:
        image = images[outcome.cause]
        return (image, outcome.cause) if _is_slow(image[-1]) else (image,)

    return sorted(outcomes, key=place)


def _expected_results(partition: Partition) -> list[Outcome]:
    model = "/".join(MODEL)
    return [
        Outcome(
            result.cause,
            {
                **{
                    k: v
                    for k, v in result.content.items()
                    if k != "tags" or not _is_slow(result.content["public_id"])
                },
                "ce_id": result_identity(CATEGORIZED, result.cause, result.content["categorization"], model),
            },
            f"upload {result.offset}",
            (result.content["tenant"] or "", result.content["public_id"]),
        )
        for result in partition.results
    ]


def _found_result(record: ConsumerRecord) -> Outcome:
    value = orjson.loads(record.value)
    plain = ("public_id", "tags", "version", "user_id", "tenant", "cause", "model", "rules")
    content = {name: value.get(name) for name in plain}
    content["categorization"] = value["info"]["categorization"]
    content["ce_id"] = dict(record.headers)["ce_id"].decode()
    if _is_slow(value["public_id"]):
        del content["tags"]  # those of that moment
    return Outcome((value["cause"]["source"], value["cause"]["id"]), content, f"offset {record.offset}")


def _expected_updates(partition: Partition) -> list[Outcome]:
    return [
        Outcome(
            update.cause,
            {
                "public_id": update.public_id,
                "added": update.added,
                "removed": update.removed,
                "tags": update.tags,
                "ce_id": result_identity(TAGS_CHANGED, update.cause, (), ""),
            },
            f"upload {update.offset}",
            (update.tenant, update.public_id),
        )
        for update in partition.updates
    ]


def _found_update(record: ConsumerRecord) -> Outcome:
    value = orjson.loads(record.value)
    (resource,) = value["resources"]
    content = {name: resource[name] for name in ("public_id", "added", "removed")}
    content |= {"tags": value["tags"], "ce_id": dict(record.headers)["ce_id"].decode()}
    return Outcome((value["cause"]["source"], value["cause"]["id"]), content, f"offset {record.offset}")


def _expected_letters(partition: Partition) -> list[Outcome]:
    return [
        Outcome(
            (letter.place,),
            {
                "reason": letter.reason,
                "stage": letter.stage,
                "key": letter.key,
                "value": letter.value,
                "headers": tuple(pair for pair in letter.headers if not pair[0].startswith(_OURS)),
            },
            f"upload {letter.place}",
            (letter.place,),
        )
        for letter in partition.letters
    ]


def _found_letter(record: ConsumerRecord) -> Outcome:
    fault = read_fault(record.headers)
    content = {"reason": fault.reason, "stage": fault.stage, "key": record.key, "value": record.value}
    content["headers"] = tuple(pair for pair in record.headers if not pair[0].startswith(_OURS))
    told = dict(record.headers)
    place = "/".join(told[f"__connect.errors.{name}"].decode() for name in ("topic", "partition", "offset"))
    return Outcome((place,), content, f"offset {record.offset}")


class UpdateFold:
    """The fold of all tag-updates, against the tags that images have. An update tells no tenant."""

    def __init__(self) -> None:
        self._tenants: dict[str, set[str]] = defaultdict(set)
        self._tags: dict[str, set[str]] = {}
        self._folded: dict[str, set[str]] = defaultdict(set)

    async def read(self, cluster: Cluster, number: int, partition: Partition) -> None:
        """Fold the updates of a partition, and take note of its images."""
        for (tenant, name), image in partition.images.items():
            self._tenants[name].add(tenant)
            self._tags[name] = set(image.sources)
        async for record in cluster.records(cluster.names.tag_updates, [number]):
            update = _found_update(record).content
            self._folded[update["public_id"]] |= set(update["added"])
            self._folded[update["public_id"]] -= set(update["removed"])

    def compare(self, verdict: Verdict) -> None:
        """Compare the two."""
        lines = verdict.differences["fold of tag-updates"]
        for name in self._tags.keys() | self._folded.keys():
            if len(self._tenants[name]) != 1:
                continue
            verdict.checked["images by tag-updates"] += 1
            if self._folded[name] != self._tags[name]:
                lines.append(f"{name} is {sorted(self._folded[name])}, must be {sorted(self._tags[name])}")
