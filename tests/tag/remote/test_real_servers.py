"""Servers of others: MLServer speaks the Open Inference Protocol, OpenAI's types judge a vision endpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.cluster import free_port
from support.own.model_servers import (
    MLSERVER,
    SECRET,
    describe_colours,
    describe_vision,
    mlserver,
    vision_server,
)

from streams.fetch.errors import SourceBusyError
from streams.tag.remote.client import RemoteAddOn
from streams.tag.remote.pictures import Seen

if TYPE_CHECKING:
    from pathlib import Path


def image(colour: tuple[int, int, int], size: int) -> Seen:
    return Seen(np.full((1, size, size, 3), colour, np.uint8), 200, 100)


@pytest.mark.slow
@pytest.mark.skipif(not MLSERVER.exists(), reason="`make servers` installs MLServer")
async def test_mlserver(tmp_path: Path) -> None:
    """A batch of images goes to a real server of the protocol, and each comes back with its colours."""
    port = free_port()
    remote = RemoteAddOn.load(describe_colours(tmp_path, port), {})
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]
    async with mlserver(tmp_path / "server", port):
        found = await asyncio.gather(*(remote.tags(image(colour, 64)) for colour in colours))
    assert [tags[0].name for tags in found] == ["red", "green", "blue"]
    assert found[0][0].confidence == pytest.approx(250 / 255)
    await remote.aclose()


@pytest.mark.slow
async def test_a_vision_endpoint(tmp_path: Path) -> None:
    """What is asked is a chat completion by OpenAI's own types; the picture has the image's proportions."""
    port = free_port()
    remote = RemoteAddOn.load(describe_vision(tmp_path, port), SECRET)
    async with vision_server(port):
        tags = await remote.tags(image((255, 255, 255), 256))
    assert [(tag.name, tag.confidence) for tag in tags] == [("bright", 1.0), ("wide", 0.9)]
    await remote.aclose()


@pytest.mark.slow
async def test_a_wrong_secret(tmp_path: Path) -> None:
    """It is refused, and not told to anybody."""
    port = free_port()
    remote = RemoteAddOn.load(describe_vision(tmp_path, port), {"VISION_SECRET": "abracadabra"})
    async with vision_server(port):
        with pytest.raises(SourceBusyError) as caught:
            await remote.tags(image((0, 0, 0), 256))
    assert caught.value.code == "http_401"
    assert "who are you?" in str(caught.value)
    assert "abracadabra" not in str(caught.value)
    await remote.aclose()
