"""From committed outputs to a real receiver, through a real broker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.webhooks.deployment import KEY, Deployment
from support.webhooks.receiver import Receiver, receiving

from schemas.topics import TopicNames
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.webhooks.messages.signing import signed_headers

pytestmark = pytest.mark.kafka


async def test_what_is_committed_is_told_in_order(deployment: Deployment) -> None:
    """An upload, changed tags and a deletion come in this order, each signed, each with its type."""
    async with receiving(Receiver()) as receiver:
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks():
            await deployment.transact(deployment.upload("koala"))
            await deployment.transact(deployment.change("koala"))
            await deployment.transact(deployment.change("koala", "image.deleted"))
            await receiver.until(lambda: len(receiver.taken) == 3)
    assert receiver.said("koala") == ["upload", "resource_tags_changed", "delete"]
    for each in receiver.taken:
        at = int(each.headers["X-Cld-Timestamp"])
        assert each.headers["X-Cld-Signature"] == signed_headers(each.body, at, KEY)["X-Cld-Signature"]
        assert each.value["signature_key"] == "key-1"
        assert each.headers["Idempotency-Key"] == each.value["request_id"]


async def test_a_receiver_that_was_down_gets_everything_in_order(deployment: Deployment) -> None:
    """While it is down nothing is lost; when it is back it gets every notification, in order per asset."""
    receiver = Receiver()
    assets = [f"asset-{number}" for number in range(6)]
    async with receiving(receiver):
        deployment.told.by_cloud["demo"] = [receiver.url]
    async with deployment.webhooks() as service:
        for number in range(4):
            for place, asset in enumerate(assets):
                output = deployment.change(asset) if number else deployment.upload(asset)
                await deployment.transact(output, partition=place % 2)
        async with asyncio.timeout(30):
            while service.pending < 24:
                await asyncio.sleep(0.02)
        assert not receiver.taken
        async with receiving(receiver):
            await receiver.until(lambda: len(receiver.told) == 24)
    for asset in assets:
        assert receiver.said(asset) == ["upload", *["resource_tags_changed"] * 3]


async def test_one_that_refuses_one_asset_holds_up_no_other(deployment: Deployment) -> None:
    """A receiver that fails on one asset gets that one again, and its successors only behind it."""

    def sick(value: dict[str, Any]) -> int:
        return 500 if value.get("public_id") == "poison" and len(receiver.refused) < 3 else 200

    receiver = Receiver(status=sick)
    async with receiving(receiver):
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks():
            await deployment.transact(deployment.upload("poison"))
            await deployment.transact(deployment.change("poison"))
            for number in range(5):
                await deployment.transact(deployment.upload(f"well-{number}"))
            await receiver.until(lambda: len(receiver.told) == 7)
    assert len(receiver.refused) == 3
    assert receiver.said("poison") == ["upload", "resource_tags_changed"]


async def test_one_that_hangs_holds_up_no_other_receiver(deployment: Deployment) -> None:
    """While one receiver never answers, another gets all of its own, and quickly."""
    async with receiving(Receiver(hangs=True)) as hanging, receiving(Receiver()) as well:
        deployment.told.by_cloud |= {"dead": [hanging.url], "demo": [well.url]}
        deployment.deadline = 60.0
        async with deployment.webhooks():
            for number in range(20):
                await deployment.transact(deployment.upload(f"dead-{number}", cloud="dead"))
                await deployment.transact(deployment.upload(f"well-{number}"))
            await well.until(lambda: len(well.told) == 20, seconds=20)
            assert hanging.most_at_once == 1


async def test_a_stop_between_repeats_nothing_and_loses_nothing(deployment: Deployment) -> None:
    """What is pending at a stop is told after the next start; what was delivered is not told again."""
    receiver = Receiver(status=lambda value: 200 if value["public_id"] == "first" else 503)
    async with receiving(receiver):
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks() as service:
            await deployment.transact(deployment.upload("first"))
            await deployment.transact(deployment.upload("second"))
            await receiver.until(lambda: receiver.taken and receiver.refused)
            async with asyncio.timeout(20):
                while service.pending != 1:
                    await asyncio.sleep(0.02)
        receiver.status = lambda _: 200
        async with deployment.webhooks():
            await deployment.transact(deployment.upload("third"))
            await receiver.until(lambda: len(receiver.told) == 3)
    assert len(receiver.taken) == 3


async def test_a_first_start_begins_with_the_last_minute(deployment: Deployment) -> None:
    """What was committed just before the role came is told; what is older is not."""
    async with receiving(Receiver()) as receiver:
        deployment.told.by_cloud["demo"] = [receiver.url]
        deployment.ago_ms = 3_600_000
        await deployment.transact(deployment.upload("old"))
        deployment.ago_ms = 0
        await deployment.transact(deployment.upload("recent"))
        async with deployment.webhooks():
            await deployment.transact(deployment.upload("new"))
            await receiver.until(lambda: len(receiver.taken) == 2)
    assert [name for name, _ in receiver.told] == ["recent", "new"]


async def test_a_huge_result_is_told_without_its_findings(deployment: Deployment) -> None:
    """What no record has room for is left out, and said to be."""
    async with receiving(Receiver()) as receiver:
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks():
            topic, value = deployment.upload("huge")
            info = {"categorization": {"a": {"data": [{"tag": "x" * 3_900_000}]}}}
            await deployment.transact((topic, value | {"info": info, "tags": ["y" * 200_000]}))
            await receiver.until(lambda: receiver.taken)
    body = receiver.taken[0].value
    assert body["info_left_out"] is True
    assert "info" not in body
    assert body["tags"] == ["y" * 200_000]


@pytest.fixture
async def apart(broker: EmbeddedBroker, unique: str) -> AsyncIterator[Deployment]:
    """A deployment on that broker."""
    deployment = Deployment(broker.bootstrap_servers, TopicNames(unique, f"{unique}."))
    await deployment.make_topics()
    yield deployment
    await deployment.close()


async def test_a_broker_that_restarts_is_waited_for(broker: EmbeddedBroker, apart: Deployment) -> None:
    """Nothing is lost and no process ends while Kafka is away for a moment."""
    async with receiving(Receiver()) as receiver:
        apart.told.by_cloud["demo"] = [receiver.url]
        async with apart.webhooks():
            await apart.transact(apart.upload("before"))
            await receiver.until(lambda: len(receiver.told) == 1)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            await apart.transact(apart.upload("after"))
            await receiver.until(lambda: len(receiver.told) == 2)


async def test_kafka_that_stays_away_keeps_nobody_from_ending(
    broker: EmbeddedBroker, apart: Deployment
) -> None:
    """A process that is told to end while a transaction waits for Kafka ends, and no task of it goes on."""
    away: list[bool] = []
    async with receiving(Receiver(status=lambda _: 200 if away else 503)) as receiver:
        apart.told.by_cloud["demo"] = [receiver.url]
        await apart.transact(apart.upload("koala"))
        before = asyncio.all_tasks()
        async with asyncio.timeout(60), apart.webhooks():
            await receiver.until(lambda: receiver.refused)
            await asyncio.to_thread(broker.kill)
            away.append(True)
            await receiver.until(lambda: receiver.taken)
        async with asyncio.timeout(30):
            while left := asyncio.all_tasks() - before:
                await asyncio.wait(left, timeout=0.1)


async def test_two_processes_share_the_partitions(deployment: Deployment) -> None:
    """Each partition has one owner, while a second process comes and goes too: assets keep their order."""
    receiver = Receiver()
    async with receiving(receiver):
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks() as first:
            await deployment.transact(deployment.upload("a"), partition=0)
            async with deployment.webhooks() as second:
                async with asyncio.timeout(30):
                    while len(first.units) != 1 or len(second.units) != 1:
                        await asyncio.sleep(0.05)
                for partition, asset in enumerate("ab"):
                    await deployment.transact(deployment.change(asset), partition=partition)
                await receiver.until(lambda: len(receiver.told) == 3)
            async with asyncio.timeout(30):
                while len(first.units) != 2:
                    await asyncio.sleep(0.05)
            await deployment.transact(deployment.change("b", "image.deleted"), partition=1)
            await receiver.until(lambda: len(receiver.told) == 4)
    assert receiver.said("b") == ["resource_tags_changed", "delete"]
