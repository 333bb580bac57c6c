"""Requests of somebody who is not who they say, or says what the key's owner never signed."""

from collections.abc import Iterator
from time import time

from support.hostile.caller import Caller, Pairs, closing, part, request


def identities(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Each a name and a request."""
    yield from _signatures(caller, photo)
    yield from _times(caller, photo)
    yield from _smuggled(caller, photo)
    yield from _basic(caller, photo)
    yield from _others(caller, photo)


def _with(pairs: Pairs, **changes: str | None) -> Pairs:
    """The fields, some changed, those that are None left out."""
    return [
        (name, changes.get(name, value) or "")
        for name, value in pairs
        if name not in changes or changes[name] is not None
    ]


def _signatures(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    pairs = caller.signed(("public_id", "evil"))
    for name, signature in {
        "none": None,
        "empty": "",
        "zeros": "0" * 40,
        "zeros of SHA-256": "0" * 64,
        "one digit less": caller.signature(pairs[:-2])[:-1],
        "padded to SHA-256's length": caller.signature(pairs[:-2]) + "0" * 24,
        "of MD5": caller.signature(pairs[:-2], algorithm="md5"),
        "not ASCII": "é" * 40,
        "not hexadecimal": "g" * 40,
        "with a NUL": caller.signature(pairs[:-2])[:-1] + "\0",
        "very long": "a" * 100_000,
        "of another secret": Caller(caller.cloud, caller.key, "guess").signature(pairs[:-2]),
        "of an empty secret": Caller(caller.cloud, caller.key, "").signature(pairs[:-2]),
    }.items():
        yield f"signature: {name}", caller.upload(_with(pairs, signature=signature), photo)
    yield "signature: of other fields", caller.upload([*pairs, ("tags", "smuggled")], photo)
    yield "signature: twice", caller.upload([*pairs, ("signature", "0" * 40)], photo)
    yield "key: unknown", caller.upload(_with(pairs, api_key="nobody"), photo)
    yield "key: none", caller.upload(_with(pairs, api_key=None), photo)
    yield "key: with a NUL", caller.upload(_with(pairs, api_key=f"{caller.key}\0"), photo)
    yield "key: twice", caller.upload([*pairs, ("api_key", "nobody")], photo)


def _times(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    now = int(time())
    for name, timestamp in {
        "empty": "",
        "a word": "now",
        "negative": "-1",
        "two hours ago": str(now - 7_200),
        "in a year": str(now + 31_536_000),
        "milliseconds": str(now * 1_000),
        "of 5,000 digits": "9" * 5_000,
        "NaN": "nan",
        "infinite": "inf",
        "digits of another script": "".join(chr(0xFF10 + int(digit)) for digit in str(now)),
        "with underscores": f"{now:_}",
    }.items():
        signed = caller.signed(("public_id", "evil"), timestamp=timestamp)
        yield f"time: {name}", caller.upload(signed, photo)


def _smuggled(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    """One signed string, read as other fields than its owner meant."""
    now = str(int(time()))
    meant: Pairs = [("public_id", "good"), ("tags", "a"), ("timestamp", now)]
    signature = caller.signature(meant, version=1)
    vouched: Pairs = [("timestamp", now), ("api_key", caller.key), ("signature", signature)]
    yield "&: a field inside a value", caller.upload([("public_id", "good&tags=a"), *vouched], photo)
    yield "&: a field inside a name", caller.upload([("public_id=good&tags", "a"), *vouched], photo)
    yield (
        "&: the time inside a value",
        caller.upload([("public_id", "good"), ("tags", f"a&timestamp={now}"), *vouched[1:]], photo),
    )
    yield "&: escaped by the sender", caller.upload([("public_id", "good%26tags=a"), *vouched], photo)
    unescaped = [
        ("notification_url", "https://shop.example/?a=1&b=2"),
        ("public_id", "evil"),
        ("timestamp", now),
    ]
    yield (
        "&: the old form where it is ambiguous",
        caller.upload(
            [*unescaped, ("api_key", caller.key), ("signature", caller.signature(unescaped, version=1))],
            photo,
        ),
    )
    yield (
        "fields: one given twice",
        caller.upload([("public_id", "good"), ("public_id", "evil"), ("tags", "a"), *vouched], photo),
    )
    yield (
        "fields: a list where one value belongs",
        caller.upload([*caller.signed(("public_id[]", "a"), ("public_id[]", "b"))], photo),
    )
    yield (
        "fields: signed in the query, others in the body",
        request(
            "POST",
            caller.path("image/upload")
            + "?"
            + "&".join(f"{name}={value!s}" for name, value in caller.signed()),
            part("public_id", "evil") + part("file", photo, "photo.jpg") + closing(),
            kind="multipart/form-data; boundary=aB3-boundary",
        ),
    )


def _basic(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    for name, header in {
        "nothing behind it": "Basic",
        "no base64": "Basic !!!!",
        "no colon": "Basic Zm9v",
        "only a colon": "Basic Og==",
        "not UTF-8": "Basic //79OnNlY3JldA==",
        "a NUL": "Basic AAA6AAA=",
        "wrong secret": "Basic dGVzdGtleTpndWVzcw==",
        "both alphabets at once": "Basic -_+/",
        "very long": "Basic " + "QUJD" * 5_000,
        "another scheme": "Bearer token",
        "Digest": 'Digest username="testkey"',
        "not ASCII": "Basic \u00e9",
    }.items():
        yield f"Basic: {name}", caller.upload([("public_id", "evil")], photo, f"Authorization: {header}")
        yield (
            f"Basic for the Admin API: {name}",
            request("GET", caller.path("resources/image"), b"", f"Authorization: {header}"),
        )
    yield (
        "Basic: twice",
        caller.upload(
            [("public_id", "evil")], photo, "Authorization: Basic Zm9v", "Authorization: Basic YmFy"
        ),
    )


def _others(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    elsewhere = Caller("elsewhere", caller.key, caller.secret)
    yield "cloud: another one's", elsewhere.upload(elsewhere.signed(), photo)
    yield "cloud: another one's library", elsewhere.admin("GET", "resources/image")
    for name, cloud in {
        "empty": "",
        "leads up": "..",
        "encoded": "%2e%2e",
        "NUL": "%00",
        "long": "a" * 3_000,
    }.items():
        strange = Caller(cloud, caller.key, caller.secret)
        yield f"cloud: {name}", strange.upload(strange.signed(), photo)
    yield "preset: unknown", caller.upload([("upload_preset", "nobody's")], photo)
    yield "preset: a list", caller.upload([("upload_preset[]", "a"), ("upload_preset[]", "b")], photo)
    yield "preset: none", caller.upload([("upload_preset", "")], photo)
