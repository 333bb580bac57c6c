"""Notifications as Cloudinary's SDKs for Node.js and Java check them."""

import json
import time
from pathlib import Path

import pytest
from support.examples import Programs
from support.sdk.installing import Install, Sdk

from streams.webhooks.messages.signing import Algorithm, SigningKey, signed_headers

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "s3cret-word"  # noqa: S105 - of a test
BODY = '{"notification_type":"upload","public_id":"café & co 考拉","tags":["koala"]}'
PROGRAMS = Path(__file__).parent / "verifying"


def notification(body: str, at: int, secret: str = SECRET, algorithm: Algorithm = "sha1") -> list[str]:
    """A body, and what its headers say."""
    headers = signed_headers(body.encode(), at, SigningKey("key", secret, algorithm))
    return [body, headers["X-Cld-Timestamp"], headers["X-Cld-Signature"]]


async def told(sdk: Sdk, folder: Path, algorithm: str, notifications: list[list[str]]) -> list[bool]:
    """What the SDK says of each."""
    file = folder / "notifications.json"
    file.write_text(json.dumps(notifications), "utf-8")
    program = PROGRAMS / ("verify.js" if sdk.command[0] == "node" else "Verify.java")
    printed = await Programs(sdk.environment).output_of(
        *sdk.command, str(program), algorithm, SECRET, str(file)
    )
    verdict: list[bool] = json.loads(printed)
    return verdict


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("language", ["node", "java"])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_genuine_ones_alone_are_accepted(
    install: Install, tmp_path: Path, language: str, generation: int, algorithm: Algorithm
) -> None:
    """As signed: yes. Another body, another secret, yesterday's: no."""
    now = int(time.time())
    genuine = notification(BODY, now, algorithm=algorithm)
    changed = [BODY + " ", *genuine[1:]]
    foreign = notification(BODY, now, "another-word", algorithm)
    old = notification(BODY, now - 86_400, algorithm=algorithm)
    sdk = await install(language, generation)
    assert await told(sdk, tmp_path, algorithm, [genuine, changed, foreign, old]) == [
        True,
        False,
        False,
        False,
    ]
