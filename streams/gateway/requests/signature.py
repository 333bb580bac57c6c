"""Signatures: of calls, of answers, of notifications; and whether a call's is right.

What is signed are all fields but a few, as they were sent: `name=value` pairs in the order of their names,
joined by `&`, with the secret behind them. Version 2 writes `%26` for each `&` within a pair; version 1 does
not, so that a value with `&` could stand for two fields: it counts only where no pair has one, or where the
operator says so.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, UnknownCallerError, shown

LIFE = 3600  # seconds that a signature holds
AHEAD = 600  # seconds that a caller's clock may be ahead of ours
UNSIGNED_FIELDS = frozenset({"file", "api_key", "signature", "resource_type", "cloud_name"})
LEFT_OUT_BY_SOME = frozenset({"notification_url", "batch_id"})
"""What the Python SDK leaves out of the signature of some actions."""
SOME_ACTIONS = frozenset({"tags", "context", "metadata"})
_MAX_SHOWN = 8192  # characters of the string to sign that a message repeats


class Algorithm(StrEnum):
    """The hash of a signature; callers do not say which: its length tells."""

    SHA1 = "sha1"
    SHA256 = "sha256"


_BY_LENGTH = {40: Algorithm.SHA1, 64: Algorithm.SHA256}


def string_to_sign(fields: Fields, *, version: int = 2, without: Iterable[str] = ()) -> str:
    """Give what a call's signature is made of.

    Args:
        fields: The call's.
        version: 1 or 2.
        without: Names of fields that are left out besides the usual ones.
    """
    left_out = UNSIGNED_FIELDS.union(without)
    joined = {name: ",".join(field.texts) for name, field in fields.items() if name not in left_out}
    pairs = [f"{name}={joined[name]}" for name in sorted(joined) if joined[name]]
    return "&".join(pair.replace("&", "%26") if version != 1 else pair for pair in pairs)


def sign(text: str, secret: str, algorithm: Algorithm) -> str:
    """Give the signature of a text, in hexadecimal."""
    return hashlib.new(algorithm, (text + secret).encode(), usedforsecurity=False).hexdigest()


def response_signature(public_id: str, version: int, secret: str, algorithm: Algorithm) -> str:
    """Give the signature of an answer about an asset. It is of version 1 whatever the call's was."""
    return sign(f"public_id={public_id}&version={version}", secret, algorithm)


def webhook_signature(body: bytes, timestamp: int, secret: str, algorithm: Algorithm) -> str:
    """Give the signature of a notification, for the header `X-Cld-Signature`.

    Args:
        body: Exactly as it is sent.
        timestamp: Seconds since the epoch, as in the header `X-Cld-Timestamp`.
        secret: The key's.
        algorithm: The cloud's.
    """
    content = body + str(timestamp).encode() + secret.encode()
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def check_signature(
    fields: Fields, secret: str, now: float, *, action: str = "upload", ambiguous: bool = False
) -> None:
    """Refuse a call whose signature is not its own, or no longer holds.

    Args:
        fields: The call's.
        secret: That of its key.
        now: Seconds since the epoch.
        action: The last part of the call's path.
        ambiguous: Whether version 1 counts although a value has a `&`.

    Raises:
        UnknownCallerError: It is wrong, too old, or of the future.
        BadCallError: Something of it is missing or given twice.
    """
    sent = fields.required("signature")
    if not any(
        hmac.compare_digest(sent.encode(), right.encode())
        for right in _right(fields, secret, action, ambiguous)
    ):
        string = string_to_sign(fields)
        if len(string) > _MAX_SHOWN:
            string = f"{string[:_MAX_SHOWN]}…"
        raise UnknownCallerError(f"Invalid Signature {shown(sent)}. String to sign - '{string}'.")
    _check_time(fields.required("timestamp"), now)


def _right(fields: Fields, secret: str, action: str, ambiguous: bool) -> list[str]:  # noqa: FBT001 - one caller
    """All signatures that are right for a call."""
    algorithm = _BY_LENGTH.get(len(fields.required("signature")))
    if algorithm is None:
        return []
    texts = set()
    for without in (frozenset[str](), LEFT_OUT_BY_SOME if action in SOME_ACTIONS else frozenset[str]()):
        escaped, plain = (string_to_sign(fields, version=version, without=without) for version in (2, 1))
        texts |= {escaped, plain} if ambiguous else {escaped}
    return [sign(text, secret, algorithm) for text in texts]


def _check_time(timestamp: str, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len("99999999999")):
        raise BadCallError(
            f"Invalid value {shown(timestamp)} for parameter timestamp: use seconds since 1970"
        )
    age = now - int(timestamp)
    if -AHEAD <= age <= LIFE:
        return
    reported = datetime.fromtimestamp(min(int(timestamp), 253_402_300_799), UTC)
    rule = "more than 1 hour ago" if age > 0 else f"more than {AHEAD // 60} minutes ahead of our clock"
    raise UnknownCallerError(
        f"Stale request - reported time is {reported:%Y-%m-%d %H:%M:%S +0000} which is {rule}"
    )
