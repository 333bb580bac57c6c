"""The calls of the announcement, by the SDKs themselves and by their recorded requests."""

import asyncio
import json
import os
from pathlib import Path
from time import time
from typing import Any

import pytest
from support.sdk.deployment import Gateway
from support.sdk.installing import Install, Sdk
from support.sdk.recorded import Recorded, load

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))
LANGUAGES = ["python", "node", "java"]


def assert_told(answers: list[dict[str, Any]]) -> None:
    """Check the five answers: what imagga_tagging saw, and which tags are assigned."""
    koala, update, upload_auto, update_auto, explicit_auto = answers
    assert all(
        answer["info"]["categorization"]["imagga_tagging"]["status"] == "complete" for answer in answers
    )
    first = told(koala)[0]
    assert first["tag"] == "koala"
    assert first["confidence"] > 0.9
    assert not koala["tags"]
    assert not update.get("tags")
    assert update["public_id"] == update_auto["public_id"] == explicit_auto["public_id"] == "landscape"
    for answer in (upload_auto, update_auto, explicit_auto):
        above = {each["tag"] for each in told(answer) if each["confidence"] > 0.4}
        assert set(answer["tags"]) == above != set()
        assert len(answer["tags"]) == len(above)


def told(answer: dict[str, Any]) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = answer["info"]["categorization"]["imagga_tagging"]["data"]
    assert data == sorted(data, key=lambda each: -each["confidence"])
    return data


@pytest.fixture
def folder(gateway: Gateway, tmp_path: Path) -> Path:
    """A folder with the photos that the programs upload."""
    for name, content in gateway.photos.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


async def run(sdk: Sdk, gateway: Gateway, folder: Path) -> list[dict[str, Any]]:
    """What a program of ours prints, in that folder."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "CLOUDINARY_URL": gateway.url, **sdk.environment}
    process = await asyncio.create_subprocess_exec(
        *sdk.command, str(sdk.calls), cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_sdk(gateway: Gateway, folder: Path, install: Install, language: str, generation: int) -> None:
    """An SDK of either generation makes its calls as they are; only CLOUDINARY_URL is ours."""
    assert_told(await run(await install(language, generation), gateway, folder))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_recorded(gateway: Gateway, path: Path) -> None:
    """What other SDKs sent is answered alike; but for time and signature it is theirs byte for byte."""
    answers = [await gateway.ask(request.sent(gateway.photos, int(time()))) for request in load(path)]
    assert [status for status, _ in answers] == [200] * 6
    assert_told([answer for number, (_, answer) in enumerate(answers) if number != 1])


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_recordings_are_whole(gateway: Gateway, path: Path) -> None:
    """Photos are left out of them, and go back into their place."""
    requests: list[Recorded] = load(path)
    assert len(requests) == 6
    for request in requests:
        head, _, body = request.sent(gateway.photos).partition(b"\r\n\r\n")
        length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        assert request.chunks or int(length[0].split(b":")[1]) == len(body)
