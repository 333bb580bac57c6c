import hashlib

import pytest

from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, UnknownCallerError
from streams.gateway.requests.signature import (
    AHEAD,
    LIFE,
    Algorithm,
    check_signature,
    response_signature,
    string_to_sign,
    webhook_signature,
)

SECRET = "testsecret"  # noqa: S105 - of no key
NOW = 1_795_987_445
CALL = {"timestamp": str(NOW), "auto_tagging": "0.4", "categorization": "imagga_tagging"}
STRING = f"auto_tagging=0.4&categorization=imagga_tagging&timestamp={NOW}"


def signed(
    algorithm: str = "sha1", *, version: int = 2, left_out: tuple[str, ...] = (), **fields: str
) -> Fields:
    """The seed's call and more fields, signed as an SDK signs."""
    call = {**CALL, **fields}
    pairs = [f"{name}={value}" for name, value in sorted(call.items()) if name not in left_out]
    text = "&".join(pair.replace("&", "%26") if version == 2 else pair for pair in pairs)
    digest = hashlib.new(algorithm, (text + SECRET).encode()).hexdigest()
    return Fields.of_pairs({**call, "signature": digest, "api_key": "k", "file": "f"}.items())


@pytest.mark.parametrize(
    "signature",
    [
        "60e170ee2879c168ef7d34643b5160316c039150",
        "4f52c0153ec2d5ae30ec6607723e0ad79cbb274d22f403b42a21b4d367558a1a",
    ],
)
def test_the_seeds_call(signature: str) -> None:
    """Its signatures as `sha1sum` and `sha256sum` give them."""
    fields = Fields.of_pairs(
        {**CALL, "signature": signature, "api_key": "k", "resource_type": "image"}.items()
    )
    assert string_to_sign(fields) == STRING
    check_signature(fields, SECRET, NOW)


@pytest.mark.parametrize(
    ("pairs", "string"),
    [
        ([("b", "2"), ("a", "1")], "a=1&b=2"),
        ([("a", "x&y=1")], "a=x%26y=1"),
        ([("a", ""), ("b", "1")], "b=1"),
        ([("k[]", "a"), ("k[]", "b")], "k=a,b"),
        ([("k[1]", "b"), ("k[0]", "a")], "k=a,b"),
        ([("ab", "1"), ("a", "2"), ("a_b", "3")], "a=2&a_b=3&ab=1"),
        ([("t", "käfer 中 %20+")], "t=käfer 中 %20+"),
        ([(name, "x") for name in ("file", "api_key", "signature", "resource_type", "cloud_name")], ""),
    ],
)
def test_what_is_signed(pairs: list[tuple[str, str]], string: str) -> None:
    """Fields by name, values as sent, arrays by commas, nothing that is empty; `&` as `%26`."""
    assert string_to_sign(Fields.of_pairs(pairs)) == string


def test_version_1() -> None:
    """It counts where it is what version 2 is; with a `&` in a value only where the operator says so."""
    url = "https://h/?a=1&b=2"
    check_signature(signed(version=1), SECRET, NOW)
    check_signature(signed(notification_url=url), SECRET, NOW)
    with pytest.raises(UnknownCallerError):
        check_signature(signed(version=1, notification_url=url), SECRET, NOW)
    check_signature(signed(version=1, notification_url=url), SECRET, NOW, ambiguous=True)


def test_one_field_does_not_stand_for_two() -> None:
    """A signed call cannot be made into another one by moving the `&` between two fields."""
    two = signed(public_id="a", tags="b")
    check_signature(two, SECRET, NOW)
    one = two.without("tags", "public_id").over(Fields.of_pairs([("public_id", "a&tags=b")]))
    with pytest.raises(UnknownCallerError):
        check_signature(one, SECRET, NOW)


def test_what_some_actions_leave_out() -> None:
    """Python's SDK does not sign the address of notifications for tags and context; elsewhere it must be."""
    call = signed(left_out=("notification_url",), notification_url="https://h", command="add")
    for action in ("tags", "context"):
        check_signature(call, SECRET, NOW, action=action)
    for action in ("upload", "explicit", "destroy"):
        with pytest.raises(UnknownCallerError):
            check_signature(call, SECRET, NOW, action=action)


def test_a_wrong_signature() -> None:
    """The refusal repeats it, and says what should have been signed, in the vendor's words."""
    fields = signed().over(Fields.of_pairs([("signature", "0" * 40)])).without("signature")
    wrong = Fields.of_pairs([("signature", "0" * 40)]).over(fields)
    with pytest.raises(UnknownCallerError) as refused:
        check_signature(wrong, SECRET, NOW)
    assert refused.value.status == 401
    assert str(refused.value) == f"Invalid Signature {'0' * 40}. String to sign - '{STRING}'."


@pytest.mark.parametrize("signature", ["", "x", "käfer", "0" * 39, "0" * 64, "Z" * 40, "0" * 5000])
def test_what_is_no_signature(signature: str) -> None:
    """It is wrong, or missing; it never fails."""
    wrong = Fields.of_pairs([("signature", signature)]).over(signed())
    with pytest.raises((UnknownCallerError, BadCallError)) as refused:
        check_signature(wrong, SECRET, NOW)
    assert len(str(refused.value)) < 300


def test_how_long_a_signature_holds() -> None:
    """An hour, and no longer; a clock may be ahead of ours, by some minutes."""
    for age in (0, LIFE, -AHEAD):
        check_signature(signed(), SECRET, NOW + age)
    stale = "Stale request - reported time is 2026-11-29 21:24:05 +0000 which is more than 1 hour ago"
    with pytest.raises(UnknownCallerError, match=stale.replace("+", r"\+")):
        check_signature(signed(), SECRET, NOW + LIFE + 1)
    with pytest.raises(UnknownCallerError, match="minutes ahead of our clock"):
        check_signature(signed(), SECRET, NOW - AHEAD - 1)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", "٣", "9" * 11, "9" * 500])
def test_what_is_no_timestamp(timestamp: str) -> None:
    """A signed call without a sensible time is refused."""
    with pytest.raises((BadCallError, UnknownCallerError)):
        check_signature(signed(timestamp=timestamp), SECRET, NOW)


def test_signatures_of_answers_and_notifications() -> None:
    """As `sha1sum` gives them: an answer's without any escaping, a notification's of its bytes."""
    right = "ed060bb8b9a2ae514c626e1d18b4161b65c80e39"
    assert response_signature("koala", 1_719_307_544, SECRET, Algorithm.SHA1) == right
    plain = hashlib.sha256(f"public_id=a&b&version=1{SECRET}".encode()).hexdigest()
    assert response_signature("a&b", 1, SECRET, Algorithm.SHA256) == plain
    body = '{"a":"é"}'.encode()
    right = hashlib.new("sha256", body + b"1795987445testsecret").hexdigest()
    assert webhook_signature(body, NOW, SECRET, Algorithm.SHA256) == right
