"""A deployment for each test, with topics of its own."""

from collections.abc import AsyncIterator

import pytest
from support.webhooks.deployment import Deployment

from schemas.topics import TopicNames


@pytest.fixture
async def deployment(kafka: str, unique: str) -> AsyncIterator[Deployment]:
    """Topics of its own."""
    deployment = Deployment(kafka, TopicNames(unique, f"{unique}."))
    await deployment.make_topics()
    yield deployment
    await deployment.close()
