"""How a notification is signed: as Cloudinary signs its own, so that its SDKs can tell who sent it."""

import hashlib
from typing import Literal, NamedTuple

Algorithm = Literal["sha1", "sha256"]


class SigningKey(NamedTuple):
    """A key of a cloud, and how it signs."""

    key: str
    secret: str
    algorithm: Algorithm = "sha1"


def signed_headers(body: bytes, at: int, key: SigningKey) -> dict[str, str]:
    """The headers that vouch for a body.

    Args:
        body: What is sent, byte for byte.
        at: When it is sent, seconds since the epoch. Receivers refuse what was signed long ago.
        key: Whose it is.
    """
    digest = hashlib.new(key.algorithm, body + str(at).encode() + key.secret.encode()).hexdigest()
    return {"X-Cld-Timestamp": str(at), "X-Cld-Signature": digest}
