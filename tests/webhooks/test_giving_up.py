"""Notifications that are given up: why, where they are kept, and how they are sent again."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from click.testing import CliRunner
from support.webhooks.deployment import Deployment
from support.webhooks.receiver import Receiver, receiving

from streams.cli.main import main
from streams.webhooks.backoff import Backoff
from streams.webhooks.lanes import Room
from streams.webhooks.service import WebhookService

pytestmark = pytest.mark.kafka

IMPATIENT = Backoff(first=0.05, longest=0.1, budget=0.2)


async def command(deployment: Deployment, *words: str) -> str:
    options = ["--broker", deployment.bootstrap, "--topic-prefix", deployment.names.prefix]
    runner = CliRunner()
    result = await asyncio.to_thread(
        runner.invoke, main, ["webhooks", *words, *options], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


async def letters(deployment: Deployment) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await command(deployment, "list", "--json")).splitlines()]


async def idle(service: WebhookService) -> None:
    async with asyncio.timeout(30):
        while service.pending:
            await asyncio.sleep(0.02)


async def reasons(deployment: Deployment, outputs: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Why what comes of outputs is given up."""
    async with deployment.webhooks():
        for output in outputs:
            await deployment.transact(output)
        async with asyncio.timeout(30):
            while len(found := await letters(deployment)) < len(outputs):
                await asyncio.sleep(0.05)
    return [letter["reason"] for letter in found]


async def test_what_nobody_takes_is_kept_and_sent_again(deployment: Deployment) -> None:
    """After its budget a notification is a dead letter; `replay` sends it again, and it is none any more."""
    deployment.backoff = IMPATIENT
    receiver = Receiver(status=lambda _: 503)
    async with receiving(receiver):
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks() as service:
            await deployment.transact(deployment.upload("koala"))
            await deployment.transact(deployment.upload("bear"))
            await receiver.until(lambda: len(receiver.refused) >= 4)
            await idle(service)
            given_up = await letters(deployment)
            assert {(each["reason"], each["asset"]) for each in given_up} == {
                ("http_503", "koala"),
                ("http_503", "bear"),
            }
            receiver.status = lambda _: 200
            koala = next(each["id"] for each in given_up if each["asset"] == "koala")
            assert "1 notifications are asked for again" in await command(
                deployment, "replay", "--yes", koala
            )
            await receiver.until(lambda: receiver.taken)
            assert receiver.taken[0].value["public_id"] == "koala"
            await idle(service)
            assert [each["asset"] for each in await letters(deployment)] == ["bear"]
            assert "1 notifications would be sent" in await command(deployment, "replay", "--dry-run")
            await command(deployment, "replay", "--yes")
            await receiver.until(lambda: len(receiver.taken) == 2)
            await idle(service)
            assert "0 given up" in await command(deployment, "list")


async def test_one_that_fails_again_has_the_same_name(deployment: Deployment) -> None:
    """Sent again and given up again, it is one dead letter."""
    deployment.backoff = IMPATIENT
    receiver = Receiver(status=lambda _: 500)
    async with receiving(receiver):
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks() as service:
            await deployment.transact(deployment.upload("koala"))
            await receiver.until(lambda: receiver.refused)
            await idle(service)
            (before,) = await letters(deployment)
            seen = len(receiver.refused)
            await command(deployment, "replay", "--yes", "--cloud", "demo", "--reason", "http_5*")
            await receiver.until(lambda: len(receiver.refused) > seen)
            await idle(service)
            (after,) = await letters(deployment)
    assert before["id"] == after["id"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/hook",
        "http://localhost:{port}/hook",
        "http://[::ffff:127.0.0.1]:{port}/hook",
        "http://2130706433:{port}/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/hook",
    ],
)
async def test_internal_addresses_are_not_told(deployment: Deployment, url: str) -> None:
    """Unless the operator allows it, nothing is sent to an address inside, however it is spelt."""
    deployment.allow = ""
    async with receiving(Receiver()) as receiver:
        deployment.told.by_cloud["demo"] = []
        there = url.format(port=receiver.port)
        assert await reasons(deployment, [deployment.upload("koala", there)]) == ["refused_address"]
        assert not receiver.taken


async def test_what_cannot_be_sent_is_given_up_at_once(deployment: Deployment) -> None:
    """An address that is none, and a cloud without a key, are dead letters that say so."""
    deployment.told.by_cloud["demo"] = []
    outputs = [
        deployment.upload("a", "ftp://a.example/hook"),
        deployment.upload("b", "http://user:pass@a.example/hook"),
        deployment.upload("c", "hook"),
        deployment.upload("d", "http://127.0.0.1/hook", cloud="unknown"),
    ]
    assert sorted(await reasons(deployment, outputs)) == ["invalid_url"] * 3 + ["no_key"]


async def test_redirects_are_not_followed(deployment: Deployment) -> None:
    """A receiver that sends us elsewhere has not taken the notification."""
    deployment.backoff = IMPATIENT
    async with receiving(Receiver(status=lambda _: 302)) as receiver:
        deployment.told.by_cloud["demo"] = [receiver.url]
        assert await reasons(deployment, [deployment.upload("koala")]) == ["http_302"]


async def test_a_backlog_is_bounded(deployment: Deployment) -> None:
    """Beyond the room of a receiver that takes nothing each is a dead letter at once; others have theirs."""
    deployment.room = Room(per_receiver=3)
    receiver = Receiver(status=lambda value: 200 if value["public_id"].startswith("well") else 503)
    async with receiving(receiver):
        dead = f"http://localhost:{receiver.port}/hook"
        deployment.allow = "127.0.0.1,localhost"
        deployment.told.by_cloud["demo"] = [receiver.url]
        async with deployment.webhooks() as service:
            for number in range(8):
                await deployment.transact(deployment.upload(f"sick-{number}", dead))
            async with asyncio.timeout(30):
                while len(found := await letters(deployment)) < 5:
                    await asyncio.sleep(0.05)
            assert {each["reason"] for each in found} == {"backlog_full"}
            assert service.pending == 3
            await deployment.transact(deployment.upload("well"))
            await receiver.until(lambda: receiver.taken)
