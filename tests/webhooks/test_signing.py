"""Notifications as Cloudinary's own SDK checks them."""

import time
from collections.abc import Iterator

import cloudinary
import cloudinary.utils
import pytest

from streams.webhooks.messages.signing import Algorithm, SigningKey, signed_headers

SECRET = "s3cret-word"  # noqa: S105 - of a test
BODY = '{"notification_type":"upload","public_id":"café & co"}'


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    cloudinary.reset_config()
    yield
    cloudinary.reset_config()


def accepts(body: str, headers: dict[str, str], algorithm: Algorithm) -> bool:
    cloudinary.config(cloud_name="demo", api_key="key", api_secret=SECRET, signature_algorithm=algorithm)
    signature, at = headers["X-Cld-Signature"], headers["X-Cld-Timestamp"]
    return bool(cloudinary.utils.verify_notification_signature(body, int(at), signature))


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_the_sdk_accepts_what_is_signed(algorithm: Algorithm) -> None:
    """Python's `verify_notification_signature` says yes to our body and headers, in both algorithms."""
    key = SigningKey("key", SECRET, algorithm)
    assert accepts(BODY, signed_headers(BODY.encode(), int(time.time()), key), algorithm)


def test_the_sdk_refuses_what_was_changed() -> None:
    """Another body, another secret, and a signature of yesterday are refused."""
    key = SigningKey("key", SECRET)
    now = int(time.time())
    assert not accepts(BODY + " ", signed_headers(BODY.encode(), now, key), "sha1")
    other = signed_headers(BODY.encode(), now, SigningKey("key", "another-word"))
    assert not accepts(BODY, other, "sha1")
    assert not accepts(BODY, signed_headers(BODY.encode(), now - 86_400, key), "sha1")
